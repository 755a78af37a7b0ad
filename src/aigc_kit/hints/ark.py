"""Volcengine Ark and BytePlus ModelArk."""

from __future__ import annotations

from functools import partial

from aigc_kit.hints.row import Row

# The page lists the codes of images and chat together.
_row = partial(
    Row, vendor="ark", source="https://www.volcengine.com/docs/82379/1299023", date="2026-11-22"
)

ROWS = (
    _row(
        codes=("AuthenticationError",),
        cause="Ark does not know this API key: it is mistyped, deleted, of another region, or of a plan with a base URL of its own.",
        remedy="Copy the key from the console's API key page. Keys of the Coding plan work only on .../api/coding/v3, those of the Agent plan only on .../api/plan/v3; BytePlus keys need region='intl'.",
        cause_zh="方舟不认识这个 API Key：填错、已删除、属于另一个区域，或属于有独立 Base URL 的套餐。",
        remedy_zh="到控制台的 API Key 管理页重新复制。Coding Plan 的 Key 只能用于 .../api/coding/v3，Agent Plan 的 Key 只能用于 .../api/plan/v3；BytePlus 的 Key 需要 region='intl'。",
    ),
    _row(
        codes=("InvalidAccountStatus",),
        cause="The account is locked or not verified.",
        remedy="Look at the account's state in the console; verify it or ask support.",
        cause_zh="账号被锁定或未完成实名认证。",
        remedy_zh="在控制台查看账号状态，完成实名认证或联系客服。",
    ),
    _row(
        codes=("AccountOverdueError",),
        cause="The account is in arrears.",
        remedy="Top up the account in the console; the API works again a few minutes later.",
        cause_zh="账号欠费。",
        remedy_zh="在控制台充值，几分钟后恢复。",
    ),
    _row(
        codes=("InvalidSubscription",),
        cause="The plan of this key has expired or does not cover the model.",
        remedy="Renew the plan, or use a pay-as-you-go key on .../api/v3.",
        cause_zh="该 Key 对应的套餐已过期，或不包含此模型。",
        remedy_zh="续订套餐，或改用 .../api/v3 的按量付费 Key。",
    ),
    _row(
        codes=("QuotaExceeded", "QuotaExceeded.*"),
        cause="The free quota or the plan's window is used up.",
        remedy="Switch the model to paid use in the console, or wait for the next window. Retrying in seconds does not help.",
        cause_zh="免费额度或套餐的时间窗口额度已用完。",
        remedy_zh="在控制台把该模型转为付费，或等下一个窗口。几秒后重试没有用。",
    ),
    _row(
        codes=("SetLimitExceeded",),
        cause="The spending limit that was set for this model in the console is reached.",
        remedy="Raise the limit in the console, or turn the safety mode off.",
        cause_zh="达到了在控制台为该模型设置的用量上限。",
        remedy_zh="在控制台调高上限，或关闭安心体验模式。",
    ),
    _row(
        codes=("ModelNotOpen", "*.ModelNotOpen"),
        cause="The model exists, but has not been activated for this account.",
        remedy="Activate it on the console's model activation page (free of charge), then call again.",
        cause_zh="模型存在，但此账号尚未开通。",
        remedy_zh="在控制台的“开通管理”页开通该模型（开通免费），然后重试。",
    ),
    _row(
        codes=("InvalidEndpointOrModel.ModelIDAccessDisabled",),
        cause="The account does not allow calls by model id.",
        remedy="Create an endpoint in the console and pass its id as model='ep-...', with family= for images.",
        cause_zh="此账号禁止直接用模型 ID 调用。",
        remedy_zh="在控制台创建推理接入点，用 model='ep-...' 调用；生图时再加 family=。",
    ),
    _row(
        codes=("InvalidEndpointOrModel*", "UnsupportedModel"),
        cause="No model or endpoint has this name: the date is missing, it was retired, or it is in another region.",
        remedy="Use the full id with its date, such as doubao-seedream-4-5-251128, or an endpoint ep-....",
        cause_zh="没有这个名字的模型或接入点：缺少日期后缀、已下线，或在另一个区域。",
        remedy_zh="使用带日期的完整 ID，例如 doubao-seedream-4-5-251128，或接入点 ep-...。",
    ),
    _row(
        codes=("InvalidEndpoint.ClosedEndpoint",),
        cause="The endpoint was closed or is paused.",
        remedy="Start it again in the console, or use another endpoint or the model's id.",
        cause_zh="推理接入点已关闭或暂停。",
        remedy_zh="在控制台重新启用，或换一个接入点，或直接用模型 ID。",
    ),
    _row(
        codes=("AccessDenied", "OperationDenied*"),
        cause="The key may not use this model or this operation: the key is limited to some models or addresses, or the account lacks a service.",
        remedy="Check the key's permissions (models, IP list) in the console.",
        cause_zh="该 Key 无权使用此模型或此操作：Key 限定了模型或 IP，或账号未开通相应服务。",
        remedy_zh="在控制台检查 Key 的权限（模型范围、IP 白名单）。",
    ),
    _row(
        codes=("*SensitiveContentDetected.PolicyViolation",),
        cause="The moderation found protected works or brands (copyright).",
        remedy="Describe the content without names of works, characters or brands. Filtered images are not billed.",
        cause_zh="内容审核认为涉及版权或品牌。",
        remedy_zh="换一种描述，不要写作品、角色或品牌的名字。被拦截的图片不计费。",
    ),
    _row(
        codes=("*SensitiveContentDetected.PrivacyInformation",),
        cause="The moderation found a real person in a reference image or in the prompt.",
        remedy="Use another reference without a recognizable person.",
        cause_zh="内容审核认为参考图或提示词中有真人。",
        remedy_zh="换一张没有可识别真人的参考图。",
    ),
    _row(
        codes=("Output*SensitiveContentDetected*", "Output*RiskDetection"),
        cause="The result was made, but the moderation held it back. Filtered images are not billed.",
        remedy="Try again, or change the prompt; the same prompt may pass another time.",
        cause_zh="结果已生成，但被内容审核拦截。被拦截的图片不计费。",
        remedy_zh="重试或修改提示词；同样的提示词有时可以通过。",
    ),
    _row(
        codes=("*SensitiveContentDetected*", "*RiskDetection"),
        cause="The moderation refused the prompt or a reference image.",
        remedy="Change the wording or the reference. The same request will be refused again.",
        cause_zh="提示词或参考图未通过内容审核。",
        remedy_zh="修改措辞或更换参考图；原样重试仍会被拒绝。",
    ),
    _row(
        codes=("ContentSecurityDetectionError",),
        cause="The moderation service itself failed; the content was not judged.",
        remedy="Try again in a moment.",
        cause_zh="审核服务本身出错，并非内容违规。",
        remedy_zh="稍后重试。",
    ),
    _row(
        codes=("InvalidParameter*",),
        words=r"size.{0,80}(pixel|not supported|must be one of)|图片尺寸",
        cause="The model does not take this size. Seedream 4.5 and 5.0-lite need at least 3,686,400 pixels (2560x1440).",
        remedy="Leave size_policy at 'nearest', which makes the size legal; for an endpoint 'ep-...' pass family= so that the limits are known.",
        cause_zh="模型不支持这个尺寸。Seedream 4.5 和 5.0-lite 至少需要 3,686,400 像素（2560x1440）。",
        remedy_zh="保持 size_policy='nearest'，会自动换成合法尺寸；使用接入点 ep-... 时加 family=，这样才知道限制。",
    ),
    _row(
        codes=("InvalidParameter.UnsupportedParameter",),
        cause="The model does not know one of the fields that were sent.",
        remedy="Leave out the field that the message names, or choose a model that has it.",
        cause_zh="请求里有该模型不支持的字段。",
        remedy_zh="去掉错误信息里指出的字段，或换支持它的模型。",
    ),
    _row(
        codes=("InvalidImageURL*",),
        cause="Ark could not read a reference image from its URL.",
        remedy="Pass inline_references=True, which sends the bytes, or check that the URL is public.",
        cause_zh="方舟无法从 URL 读取参考图。",
        remedy_zh="传 inline_references=True 改为直接发送图片内容，或确认 URL 可公网访问。",
    ),
    _row(
        codes=("OutofContextError",),
        cause="The messages are longer than the model's context.",
        remedy="Shorten the history or choose a model with a longer context.",
        cause_zh="消息超过模型的上下文长度。",
        remedy_zh="缩短历史，或换上下文更长的模型。",
    ),
    _row(
        codes=("ServerOverloaded", "InflightBatchsizeExceeded"),
        cause="The model is overloaded just now.",
        remedy="Wait and call again; spread requests over time.",
        cause_zh="模型当前过载。",
        remedy_zh="稍后重试，并把请求错开。",
    ),
    _row(
        codes=("*RateLimitExceeded*", "RequestBurstTooFast"),
        cause="Too many requests, tokens or images per minute for this account and model.",
        remedy="Send fewer at once, or ask for a higher limit in the console. Images count per minute (IPM).",
        cause_zh="此账号在该模型上的每分钟请求数、Token 数或图片数超限。",
        remedy_zh="降低并发，或在控制台申请提额。图片按每分钟张数（IPM）计。",
    ),
    _row(
        codes=("InternalServiceError",),
        cause="Ark failed on its side.",
        remedy="For chat, call again. For an image the outcome is unknown: look at the console's usage before paying again.",
        cause_zh="方舟服务端出错。",
        remedy_zh="对话可以重试。生图的结果未知：重新付费前先看控制台用量。",
    ),
)
