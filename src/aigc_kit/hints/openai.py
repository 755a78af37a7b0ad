"""Back ends that speak ``chat/completions``: OpenAI, DeepSeek, GLM, Kimi, Qwen, relays and local servers."""

from __future__ import annotations

from functools import partial

from aigc_kit.hints.row import Row

_DAY = "2026-11-22"
_glm = partial(Row, vendor="glm", source="https://docs.bigmodel.cn/cn/api/api-code", date=_DAY)
_openai = partial(
    Row, vendor="openai", source="https://platform.openai.com/docs/guides/error-codes", date=_DAY
)
_deepseek = partial(
    Row,
    vendor="deepseek",
    source="https://api-docs.deepseek.com/quick_start/error_codes",
    date=_DAY,
)
_moonshot = partial(
    Row, vendor="moonshot", source="https://platform.moonshot.cn/docs/api/chat", date=_DAY
)
_dashscope = partial(
    Row,
    vendor="dashscope",
    source="https://help.aliyun.com/zh/model-studio/error-code",
    date="2026-11-25",
)
_minimax = partial(
    Row, vendor="minimax", source="BerriAI/litellm llms/minimax (unverified)", date="2026-11-25"
)

_GLM = (
    _glm(
        codes=("1000", "1001", "1002", "1003", "1004"),
        cause="Zhipu does not accept the API key.",
        remedy="Copy it from https://open.bigmodel.cn (whole, with the dot in it). A key of z.ai needs region='intl'.",
        cause_zh="智谱不接受这个 API Key。",
        remedy_zh="到 https://open.bigmodel.cn 重新复制（完整复制，包括中间的点）。z.ai 的 Key 需要 region='intl'。",
    ),
    _glm(
        codes=("1113",),
        cause="The account is in arrears. Zhipu says so with status 429.",
        remedy="Top up the account, or buy a resource package for this model.",
        cause_zh="账户欠费。智谱用 429 状态返回这个错误。",
        remedy_zh="充值，或购买该模型的资源包。",
    ),
    _glm(
        codes=("1110", "1111", "1112", "1121"),
        cause="The account is inactive, locked or does not exist.",
        remedy="Look at the account's state in the console.",
        cause_zh="账户未激活、被锁定或不存在。",
        remedy_zh="在控制台查看账户状态。",
    ),
    _glm(
        codes=("1211",),
        cause="No model has this name.",
        remedy="Use a current id such as glm-5.3 or glm-5.3-flash.",
        cause_zh="没有这个名字的模型。",
        remedy_zh="使用当前的模型 ID，例如 glm-5.3 或 glm-5.3-flash。",
    ),
    _glm(
        codes=("1214",),
        cause="The messages are not what the API expects.",
        remedy="Check the order of roles and that no content is empty.",
        cause_zh="messages 参数非法。",
        remedy_zh="检查角色顺序，且内容不能为空。",
    ),
    _glm(
        codes=("1220", "1221", "1222"),
        cause="The key may not use this model or this API.",
        remedy="Open the model for the account in the console.",
        cause_zh="该 Key 无权使用此模型或接口。",
        remedy_zh="在控制台为账户开通该模型。",
    ),
    _glm(
        codes=("1261",),
        cause="The prompt is too long for the model.",
        remedy="Shorten the history.",
        cause_zh="提示词超过模型长度。",
        remedy_zh="缩短历史。",
    ),
    _glm(
        codes=("1301",),
        cause="The content filter refused the input or the output.",
        remedy="Change the wording; the same request will be refused again.",
        cause_zh="输入或输出被内容安全拦截。",
        remedy_zh="修改措辞；原样重试仍会被拒绝。",
    ),
    _glm(
        codes=("1302", "1303"),
        cause="Too many requests at once or per minute.",
        remedy="Send fewer at once; limits depend on the account's level.",
        cause_zh="并发数或频率超限。",
        remedy_zh="降低并发；限额取决于账户等级。",
    ),
    _glm(
        codes=("1305",),
        cause="The model is overloaded.",
        remedy="Call again later.",
        cause_zh="模型过载。",
        remedy_zh="稍后重试。",
    ),
    _glm(
        codes=("1304", "1308", "1310"),
        cause="The day's or the plan window's quota is used up.",
        remedy="Wait for the time that the message names, or use a pay-as-you-go key.",
        cause_zh="当日或套餐窗口的额度已用完。",
        remedy_zh="等到错误信息给出的时间，或改用按量付费的 Key。",
    ),
    _glm(
        codes=("1309",),
        cause="The plan has expired.",
        remedy="Renew it, or use a pay-as-you-go key on /api/paas/v4.",
        cause_zh="套餐已过期。",
        remedy_zh="续订，或在 /api/paas/v4 使用按量付费的 Key。",
    ),
)

_OTHERS = (
    _deepseek(
        words=r"insufficient balance",
        cause="The account has no balance (402).",
        remedy="Top up at https://platform.deepseek.com/top_up.",
        cause_zh="账户余额不足（402）。",
        remedy_zh="到 https://platform.deepseek.com/top_up 充值。",
    ),
    _deepseek(
        words=r"response_format type is unavailable",
        cause="DeepSeek's chat/completions takes no json_schema.",
        remedy="Leave structured_mode unset: the schema then goes into the prompt and the answer is validated here.",
        cause_zh="DeepSeek 的 chat/completions 不支持 json_schema。",
        remedy_zh="不要设置 structured_mode：库会把 schema 写入提示词，并在本地校验结果。",
    ),
    _deepseek(
        words=r"reasoning_content.{0,60}must be passed back",
        cause="In a conversation with tools every assistant turn needs its reasoning_content.",
        remedy="Append result.message to the history as it is, instead of a message of your own.",
        cause_zh="带工具的对话中，每个 assistant 轮次都要带上 reasoning_content。",
        remedy_zh="把 result.message 原样加入历史，不要自己拼消息。",
    ),
    _deepseek(
        words=r"model (not exist|not found)|does not exist",
        cause="No model has this name; deepseek-chat and deepseek-reasoner were retired on 2026-07-24.",
        remedy="Use deepseek-flash or deepseek-v4-pro.",
        cause_zh="没有这个模型；deepseek-chat 和 deepseek-reasoner 已于 2026-07-24 下线。",
        remedy_zh="使用 deepseek-flash 或 deepseek-v4-pro。",
    ),
    _moonshot(
        codes=("exceeded_current_quota_error",),
        cause="The account has no balance, or its quota is used up.",
        remedy="Top up at https://platform.moonshot.cn. Retrying in seconds does not help.",
        cause_zh="账户余额不足或额度用完。",
        remedy_zh="到 https://platform.moonshot.cn 充值。几秒后重试没有用。",
    ),
    _moonshot(
        codes=("invalid_authentication_error", "incorrect_api_key_error"),
        cause="Moonshot does not accept the key: those of .cn and .ai are not the same.",
        remedy="Use a key of platform.moonshot.cn, or pass region='intl' for one of platform.moonshot.ai.",
        cause_zh="Moonshot 不接受这个 Key:.cn 与 .ai 的 Key 不通用。",
        remedy_zh="使用 platform.moonshot.cn 的 Key；platform.moonshot.ai 的 Key 需要 region='intl'。",
    ),
    _dashscope(
        codes=("InvalidApiKey", "invalid_api_key"),
        cause="Model Studio does not accept the key: keys of mainland China and of Singapore are not the same.",
        remedy="Check the key in the console; for an international one pass region='intl'.",
        cause_zh="百炼不接受这个 Key：中国内地与新加坡的 Key 不通用。",
        remedy_zh="在控制台核对 Key；国际站的 Key 需要 region='intl'。",
    ),
    _dashscope(
        codes=("Arrearage",),
        cause="The Alibaba Cloud account is in arrears.",
        remedy="Top up the account; the API works again a few minutes later.",
        cause_zh="阿里云账号欠费。",
        remedy_zh="充值，几分钟后恢复。",
    ),
    _dashscope(
        codes=("AllocationQuota.FreeTierOnly", "*FreeTierOnly"),
        cause="The free quota of this model is used up, and the account is set to use free quota only.",
        remedy="Turn 'free tier only' off for the model in the console.",
        cause_zh="该模型的免费额度已用完，且账号开启了“仅使用免费额度”。",
        remedy_zh="在控制台关闭该模型的“仅使用免费额度”。",
    ),
    _dashscope(
        codes=("AccessDenied.Unpurchased", "CommodityNotPurchased"),
        cause="Model Studio has not been activated for this account.",
        remedy="Activate it in the console (bailian.console.aliyun.com).",
        cause_zh="账号未开通百炼服务。",
        remedy_zh="到 bailian.console.aliyun.com 开通。",
    ),
    _dashscope(
        codes=("DataInspectionFailed", "data_inspection_failed"),
        cause="The content check refused the input or the output.",
        remedy="Change the wording or the image; the same request will be refused again.",
        cause_zh="输入或输出未通过内容安全检查。",
        remedy_zh="修改措辞或图片；原样重试仍会被拒绝。",
    ),
    _dashscope(
        codes=("InvalidParameter.DataInspection",),
        cause="A reference image could not be fetched for the content check.",
        remedy="Pass the image's bytes instead of its URL, or check that the URL is public.",
        cause_zh="内容检查时无法下载参考图。",
        remedy_zh="改传图片内容，或确认 URL 可公网访问。",
    ),
    _dashscope(
        codes=("IPInfringementSuspect",),
        cause="The input seems to infringe someone's rights (brand, character, person).",
        remedy="Remove names and references of protected works.",
        cause_zh="输入疑似侵犯知识产权（品牌、角色、人物）。",
        remedy_zh="去掉受保护作品的名称和参考图。",
    ),
    _dashscope(
        codes=("ModelNotFound", "model_not_found"),
        cause="The model does not exist or was taken offline; qwen-image, -plus and -max ended on 2026-10-10.",
        remedy="Choose a current model from the console's model list.",
        cause_zh="模型不存在或已下线；qwen-image、-plus、-max 已于 2026-10-10 停止服务。",
        remedy_zh="在控制台的模型列表中选择当前模型。",
    ),
    _dashscope(
        codes=("Throttling.AllocationQuota",),
        cause="The account's quota for this model is used up.",
        remedy="Ask for a higher quota in the console. Retrying in seconds does not help.",
        cause_zh="该账号在此模型上的配额已用完。",
        remedy_zh="在控制台申请提额。几秒后重试没有用。",
    ),
    _dashscope(
        codes=("Throttling*", "LimitRequests", "limit_requests"),
        cause="Too many requests; the limit is shared by all keys of the main account.",
        remedy="Send fewer at once and let the rate rise slowly.",
        cause_zh="请求过于频繁；限流由主账号下所有 Key 共享。",
        remedy_zh="降低并发，并平缓增加请求速率。",
    ),
    _minimax(
        codes=("1008",),
        cause="The account has no balance.",
        remedy="Top up the account.",
        cause_zh="账户余额不足。",
        remedy_zh="充值。",
    ),
    _minimax(
        codes=("1004", "2049"),
        cause="MiniMax does not accept the key: those of minimaxi.com and minimax.io are not the same.",
        remedy="Use the base URL that belongs to the key.",
        cause_zh="MiniMax 不接受这个 Key:minimaxi.com 与 minimax.io 的 Key 不通用。",
        remedy_zh="使用与 Key 对应的 Base URL。",
    ),
    _minimax(
        codes=("1026", "1027"),
        cause="The content filter refused the input or the output.",
        remedy="Change the wording.",
        cause_zh="输入或输出被内容安全拦截。",
        remedy_zh="修改措辞。",
    ),
)

_OPENAI = (
    _openai(
        codes=("insufficient_quota", "billing_hard_limit_reached"),
        cause="The account has no credit, or its spending limit is reached. It is not a rate limit.",
        remedy="Add credit or raise the limit on the vendor's billing page; retrying in seconds does not help.",
        cause_zh="账户没有余额，或达到了消费上限。这不是限流。",
        remedy_zh="在厂商的账单页充值或调高上限；几秒后重试没有用。",
    ),
    _openai(
        words=r"must be verified to use the model",
        cause="OpenAI asks the organization to be verified before it may use this model.",
        remedy="Verify it at https://platform.openai.com/settings/organization/general; it may take 15 minutes until it counts.",
        cause_zh="OpenAI 要求组织先完成认证才能使用该模型。",
        remedy_zh="到 https://platform.openai.com/settings/organization/general 完成认证；约 15 分钟后生效。",
    ),
    _openai(
        codes=("moderation_blocked", "content_policy_violation"),
        cause="The safety system refused the prompt or a reference.",
        remedy="Change the wording or the image; the message names the class where the vendor says it.",
        cause_zh="提示词或参考图被安全系统拒绝。",
        remedy_zh="修改措辞或图片；如厂商给出类别，错误信息中会写明。",
    ),
    _openai(
        words=r"(tools|function tools).{0,80}(reasoning_effort|/v1/responses|responses api)",
        cause="This model takes tools only without reasoning, or only through the Responses API.",
        remedy="Pass reasoning_effort='none', or choose another model for tools.",
        cause_zh="该模型只有在不推理时，或只在 Responses API 中才支持工具。",
        remedy_zh="传 reasoning_effort='none'，或换一个模型来调用工具。",
    ),
    _openai(
        words=r"model not found, try pulling|try pulling it first",
        cause="The local server does not have this model.",
        remedy="Run 'ollama pull MODEL' first.",
        cause_zh="本地服务没有这个模型。",
        remedy_zh="先运行 ollama pull 模型名。",
        source="https://docs.ollama.com/api",
    ),
    _openai(
        words=r"enable-auto-tool-choice|tool-call-parser",
        cause="This vLLM server was started without tool calling.",
        remedy="Start it with --enable-auto-tool-choice --tool-call-parser.",
        cause_zh="该 vLLM 服务启动时没有开启工具调用。",
        remedy_zh="启动时加上 --enable-auto-tool-choice --tool-call-parser。",
        source="https://docs.vllm.ai/en/latest/features/tool_calling.html",
    ),
)

# A relay passes on the codes of the vendor behind it, and Ark's and Qwen's models are served under
# the names of relays, so the general rows come last and match whoever sends them.
_any = partial(
    Row, vendor="any", source="https://platform.openai.com/docs/guides/error-codes", date=_DAY
)
_GENERAL = (
    _any(
        codes=("invalid_api_key", "incorrect_api_key", "invalid_authentication_error"),
        cause="The vendor does not accept the API key.",
        remedy="Copy the key again from the vendor's console, and check that the base URL belongs to it ('aigc-kit doctor' shows which variable won).",
        cause_zh="厂商不接受这个 API Key。",
        remedy_zh="到厂商控制台重新复制，并确认 Base URL 与 Key 对应（aigc-kit doctor 会显示哪个变量生效）。",
    ),
    _any(
        codes=(
            "insufficient_quota",
            "insufficient_user_quota",
            "insufficient_balance",
            "arrearage",
        ),
        cause="The account has no balance.",
        remedy="Top up the account at the vendor or the relay.",
        cause_zh="账户余额不足。",
        remedy_zh="到厂商或中转站充值。",
    ),
    _any(
        codes=("model_not_found", "modelnotfound", "model_not_exist"),
        cause="The vendor has no model of this name, or the key may not use it.",
        remedy="Check the id in the vendor's model list; it may have been retired.",
        cause_zh="厂商没有这个名字的模型，或该 Key 无权使用。",
        remedy_zh="在厂商的模型列表中核对 ID；它可能已下线。",
    ),
    _any(
        codes=("context_length_exceeded", "context_window_exceeded", "exceed_context_size_error"),
        cause="The messages are longer than the model's context.",
        remedy="Shorten the history, or choose a model with a longer context.",
        cause_zh="消息超过模型的上下文长度。",
        remedy_zh="缩短历史，或换上下文更长的模型。",
    ),
    _any(
        codes=(
            "content_filter",
            "data_inspection_failed",
            "censorship_blocked",
            "sensitive_words_detected",
        ),
        cause="The vendor's moderation refused the input or the output.",
        remedy="Change the wording; the same request will be refused again.",
        cause_zh="输入或输出被厂商的内容审核拒绝。",
        remedy_zh="修改措辞；原样重试仍会被拒绝。",
    ),
)

ROWS = (*_GLM, *_OTHERS, *_OPENAI, *_GENERAL)
