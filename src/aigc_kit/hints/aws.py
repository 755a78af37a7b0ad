"""Amazon Bedrock."""

from __future__ import annotations

from functools import partial

from aigc_kit.hints.row import Row

_row = partial(
    Row,
    vendor="aws",
    source="https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html",
    date="2026-11-22",
)

ROWS = (
    _row(
        codes=(
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "IncompleteSignature",
            "InvalidClientTokenId",
        ),
        cause="AWS does not know these keys, or the secret does not belong to the key id.",
        remedy="Run 'aws sts get-caller-identity' with the same environment. AWS_BEARER_TOKEN_BEDROCK wins over all other keys.",
        cause_zh="AWS 不认识这对密钥，或 Secret 与 Key ID 不匹配。",
        remedy_zh="在同样的环境中运行 aws sts get-caller-identity。AWS_BEARER_TOKEN_BEDROCK 优先于其他所有密钥。",
    ),
    _row(
        codes=(
            "ExpiredToken*",
            "*TokenExpired*",
            "UnauthorizedSSOTokenError",
            "SSOTokenLoadError",
            "TokenRetrievalError",
        ),
        cause="The temporary credentials or the SSO session have expired.",
        remedy="Run 'aws sso login --profile NAME', or get new temporary keys.",
        cause_zh="临时凭证或 SSO 会话已过期。",
        remedy_zh="运行 aws sso login --profile 名称，或重新获取临时密钥。",
        source="https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sso.html",
    ),
    _row(
        words=r"on-demand throughput",
        cause="The model is served only through an inference profile.",
        remedy="Put a geography in front of the id: 'global.', 'us.', 'eu.' or 'apac.'.",
        cause_zh="该模型只能通过推理配置文件（inference profile）调用。",
        remedy_zh="在模型 ID 前加地域前缀：global.、us.、eu. 或 apac.。",
    ),
    _row(
        words=r"model identifier is invalid",
        cause="No model has this id in this region.",
        remedy="Check the id and the region (BEDROCK_REGION, AWS_REGION).",
        cause_zh="该区域没有这个 ID 的模型。",
        remedy_zh="检查模型 ID 与区域（BEDROCK_REGION、AWS_REGION）。",
    ),
    _row(
        words=r"don't have access to the model|FTUFormNotFilled|use case details",
        cause="The account has no access to this model yet.",
        remedy="Request access in the Bedrock console; Anthropic's models also need the use case form.",
        cause_zh="账号还没有该模型的访问权限。",
        remedy_zh="在 Bedrock 控制台申请模型访问；Anthropic 的模型还需填写用途表单。",
    ),
    _row(
        words=r"end of (its )?life|marked by provider as legacy",
        cause="The model has reached the end of its life, or is legacy and was not used for 30 days.",
        remedy="Use a current model, such as global.anthropic.claude-sonnet-4-6.",
        cause_zh="该模型已停止服务，或属于旧版且 30 天未使用。",
        remedy_zh="换用当前模型，例如 global.anthropic.claude-sonnet-4-6。",
    ),
    _row(
        codes=("AccessDeniedException", "AccessDenied*"),
        cause="The credentials may not call this model (bedrock:InvokeModel).",
        remedy="Add bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream to the role or user; for an inference profile, on the profile and the model in each of its regions.",
        cause_zh="该凭证无权调用此模型（bedrock:InvokeModel）。",
        remedy_zh="为角色或用户添加 bedrock:InvokeModel 和 bedrock:InvokeModelWithResponseStream；使用推理配置文件时，要覆盖配置文件和各区域的模型。",
    ),
    _row(
        codes=("ThrottlingException", "TooManyRequestsException"),
        cause="Too many requests or tokens per minute for this account and model.",
        remedy="Send fewer at once, use a 'global.' profile, or ask for a higher quota in Service Quotas.",
        cause_zh="此账号在该模型上的每分钟请求数或 Token 数超限。",
        remedy_zh="降低并发，使用 global. 推理配置文件，或在 Service Quotas 申请提额。",
    ),
    _row(
        codes=("ServiceQuotaExceededException",),
        cause="A quota of the account is reached.",
        remedy="Raise it in Service Quotas; retrying in seconds does not help.",
        cause_zh="达到账号配额。",
        remedy_zh="在 Service Quotas 提额；几秒后重试没有用。",
    ),
    _row(
        words=r"ProfileNotFound|config profile .* could not be found",
        cause="AWS_PROFILE names a profile that is not in ~/.aws/config.",
        remedy="Run 'aws configure list-profiles', correct AWS_PROFILE or unset it.",
        cause_zh="AWS_PROFILE 指定的配置不在 ~/.aws/config 中。",
        remedy_zh="运行 aws configure list-profiles，改正或取消 AWS_PROFILE。",
    ),
)
