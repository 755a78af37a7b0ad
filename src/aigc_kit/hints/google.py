"""Gemini on Vertex AI and on the Developer API."""

from __future__ import annotations

from functools import partial

from aigc_kit.hints.row import Row

_row = partial(
    Row,
    vendor="google",
    source="https://ai.google.dev/gemini-api/docs/troubleshooting",
    date="2026-11-22",
)
_VERTEX = "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429"
_AUTH = "https://cloud.google.com/docs/authentication/provide-credentials-adc"

ROWS = (
    _row(
        codes=("API_KEY_INVALID", "API_KEY_EXPIRED"),
        cause="The Developer API does not accept this key.",
        remedy="Make a key at https://aistudio.google.com/apikey and set GEMINI_API_KEY. A key of another Google service does not work.",
        cause_zh="Gemini Developer API 不接受这个 Key。",
        remedy_zh="到 https://aistudio.google.com/apikey 新建 Key，设置 GEMINI_API_KEY。其他 Google 服务的 Key 不能用。",
    ),
    _row(
        codes=("INVALID_ARGUMENT",),
        words=r"api key not valid",
        cause="The Developer API does not accept this key.",
        remedy="Make a key at https://aistudio.google.com/apikey and set GEMINI_API_KEY.",
        cause_zh="Gemini Developer API 不接受这个 Key。",
        remedy_zh="到 https://aistudio.google.com/apikey 新建 Key，设置 GEMINI_API_KEY。",
    ),
    _row(
        codes=("UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "ACCESS_TOKEN_EXPIRED"),
        cause="Vertex AI got no valid token: the credentials have expired, or an API key was sent where a token is needed.",
        remedy="Run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS to a service account file. Check this machine's clock.",
        cause_zh="Vertex AI 没有收到有效令牌：凭证过期，或在需要令牌的地方发送了 API Key。",
        remedy_zh="运行 gcloud auth application-default login，或把 GOOGLE_APPLICATION_CREDENTIALS 指向服务账号文件，并检查本机时钟。",
        source=_AUTH,
    ),
    _row(
        codes=("PERMISSION_DENIED", "IAM_PERMISSION_DENIED", "SERVICE_DISABLED"),
        words=r"has not been used in project|is disabled|SERVICE_DISABLED",
        cause="The Vertex AI API is not enabled in this project.",
        remedy="Run 'gcloud services enable aiplatform.googleapis.com', and wait a few minutes.",
        cause_zh="该项目没有启用 Vertex AI API。",
        remedy_zh="运行 gcloud services enable aiplatform.googleapis.com，等几分钟再试。",
        source=_AUTH,
    ),
    _row(
        codes=("PERMISSION_DENIED", "IAM_PERMISSION_DENIED"),
        cause="The account may not use Vertex AI in this project (aiplatform.endpoints.predict).",
        remedy="Give it the role 'Vertex AI User' (roles/aiplatform.user), and check GOOGLE_CLOUD_PROJECT.",
        cause_zh="该账号在此项目中无权使用 Vertex AI(aiplatform.endpoints.predict)。",
        remedy_zh="授予角色 Vertex AI User(roles/aiplatform.user)，并检查 GOOGLE_CLOUD_PROJECT。",
        source=_AUTH,
    ),
    _row(
        codes=("BILLING_DISABLED",),
        cause="The project has no active billing account.",
        remedy="Link a billing account to the project in the Google Cloud console.",
        cause_zh="该项目没有有效的结算账号。",
        remedy_zh="在 Google Cloud 控制台为项目关联结算账号。",
    ),
    _row(
        codes=("FAILED_PRECONDITION",),
        words=r"location|not (available|supported) in your",
        cause="The Developer API is not offered in this country or region.",
        remedy="Use Vertex AI instead (GOOGLE_CLOUD_PROJECT), or send requests from a supported region.",
        cause_zh="当前国家或地区不提供 Gemini Developer API。",
        remedy_zh="改用 Vertex AI(GOOGLE_CLOUD_PROJECT)，或从支持的地区发起请求。",
    ),
    _row(
        codes=("FAILED_PRECONDITION",),
        words=r"billing",
        cause="The free tier does not cover this call, and the project has no billing.",
        remedy="Enable billing for the project of the key in Google AI Studio.",
        cause_zh="免费层不包含此调用，且项目未启用结算。",
        remedy_zh="在 Google AI Studio 为该 Key 所属项目启用结算。",
    ),
    _row(
        codes=("NOT_FOUND",),
        cause="The model does not exist, was shut down, or is not served in this location.",
        remedy="Use location='global' (GOOGLE_CLOUD_LOCATION=global): the current image models are only there. Check the model's id.",
        cause_zh="模型不存在、已下线，或该区域不提供。",
        remedy_zh="使用 location='global'(GOOGLE_CLOUD_LOCATION=global)，当前的生图模型只在那里；并检查模型 ID。",
    ),
    _row(
        codes=("RESOURCE_EXHAUSTED",),
        words=r"per\s?day",
        cause="The daily quota of this project is used up.",
        remedy="Wait for the next day (Pacific time), or raise the quota or the tier.",
        cause_zh="该项目的当日配额已用完。",
        remedy_zh="等到次日（太平洋时间），或提升配额、升级层级。",
    ),
    _row(
        codes=("RESOURCE_EXHAUSTED",),
        cause="Too many requests for this project, or Google's shared capacity is full.",
        remedy="Wait and send fewer at once; on Vertex AI location='global' has the most capacity.",
        cause_zh="该项目请求过多，或 Google 的共享容量已满。",
        remedy_zh="稍候并降低并发；Vertex AI 上 location='global' 的容量最大。",
        source=_VERTEX,
    ),
    _row(
        codes=("UNAVAILABLE",),
        words=r"overloaded|try again",
        cause="The model is overloaded.",
        remedy="For chat, call again later. For an image check the usage before paying again.",
        cause_zh="模型过载。",
        remedy_zh="对话可稍后重试。生图则先核对用量再重新付费。",
    ),
    _row(
        codes=("INVALID_ARGUMENT",),
        words=r"token count .* exceeds the maximum",
        cause="The messages are longer than the model's context.",
        remedy="Shorten the history, or choose a model with a longer context.",
        cause_zh="消息超过模型的上下文长度。",
        remedy_zh="缩短历史，或换上下文更长的模型。",
    ),
    _row(
        words=r"\b(IMAGE_SAFETY|IMAGE_PROHIBITED_CONTENT|PROHIBITED_CONTENT|SAFETY|BLOCKLIST|SPII)\b",
        cause="Google's safety filter blocked the prompt or the image.",
        remedy="Change the wording or the references. The prompt's tokens may be billed.",
        cause_zh="提示词或图片被 Google 的安全过滤拦截。",
        remedy_zh="修改措辞或参考图。提示词的 Token 可能计费。",
    ),
    _row(
        words=r"\b(IMAGE_RECITATION|RECITATION)\b",
        cause="The result was too close to existing works.",
        remedy="Ask for something more of your own: less of a known style, title or text.",
        cause_zh="结果与现有作品过于相似。",
        remedy_zh="换成更原创的描述，少引用已知的风格、标题或文本。",
    ),
    _row(
        words=r"\b(NO_IMAGE|IMAGE_OTHER)\b",
        cause="The model answered without drawing.",
        remedy="Say clearly that an image is wanted ('Draw ...'), or try again.",
        cause_zh="模型没有画图，只作了回答。",
        remedy_zh="在提示词中明确要求画图（“画一张……”），或重试。",
    ),
)
