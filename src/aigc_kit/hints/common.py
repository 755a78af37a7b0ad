"""What is the same everywhere: the network, and each class of error where no vendor's row fits."""

from __future__ import annotations

from functools import partial

from aigc_kit.hints.row import Row

_DAY = "2026-11-26"
_network = partial(Row, vendor="any", source="aigc_kit.transport", date=_DAY)
_class = partial(Row, vendor="any", source="aigc_kit.errors", date=_DAY)

ROWS = (
    _network(
        words=r"socksio|\bsocks\b.{0,60}(install|support)",
        cause="The machine's proxy is a SOCKS proxy, and the package for it is not installed.",
        remedy="Run 'pip install socksio', set HTTPS_PROXY to an http:// proxy, or unset ALL_PROXY.",
        cause_zh="本机代理是 SOCKS，而所需的包没有安装。",
        remedy_zh="运行 pip install socksio，或把 HTTPS_PROXY 设为 http:// 代理，或取消 ALL_PROXY。",
    ),
    _network(
        words=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|self.signed certificate",
        cause="The server's certificate is not trusted here: a company proxy replaces it, or this machine lacks root certificates.",
        remedy="Set SSL_CERT_FILE to a file with the proxy's certificate, or install ca-certificates.",
        cause_zh="本机不信任服务器证书：公司代理替换了证书，或本机缺少根证书。",
        remedy_zh="把 SSL_CERT_FILE 指向包含代理证书的文件，或安装 ca-certificates。",
    ),
    _network(
        words=r"Name or service not known|getaddrinfo failed|nodename nor servname|Temporary failure in name resolution",
        cause="The host's name cannot be resolved.",
        remedy="Check the base URL for typos, the network, and whether a proxy is needed (HTTPS_PROXY).",
        cause_zh="域名无法解析。",
        remedy_zh="检查 Base URL 是否写错、网络是否可用，以及是否需要代理（HTTPS_PROXY）。",
    ),
    _network(
        words=r"Connection refused",
        cause="Nothing listens at this address.",
        remedy="Check host and port of the base URL, and of the proxy; is the local server running?",
        cause_zh="该地址没有服务在监听。",
        remedy_zh="检查 Base URL 和代理的主机与端口；本地服务启动了吗？",
    ),
    _class(
        kind="MissingCredentialError",
        cause="No usable key was found.",
        remedy="Set the variable that the message names, in the shell or in .env; 'aigc-kit doctor' shows what is set.",
        cause_zh="没有找到可用的 Key。",
        remedy_zh="在 shell 或 .env 中设置错误信息里的变量；aigc-kit doctor 可以查看当前设置。",
    ),
    _class(
        kind="AuthenticationError",
        cause="The vendor does not accept the credentials.",
        remedy="Copy the key again, and check that the base URL belongs to it ('aigc-kit doctor --online').",
        cause_zh="厂商不接受该凭证。",
        remedy_zh="重新复制 Key，并确认 Base URL 与之对应（aigc-kit doctor --online）。",
    ),
    _class(
        kind="PermissionDeniedError",
        cause="The key is good, but not for this model or operation.",
        remedy="Open the model for the account in the vendor's console, or use another key.",
        cause_zh="Key 有效，但无权使用此模型或操作。",
        remedy_zh="在厂商控制台为账号开通该模型，或换一个 Key。",
    ),
    _class(
        kind="NotFoundError",
        cause="The model or the URL does not exist, or the model was retired.",
        remedy="Check the model's id and the base URL.",
        cause_zh="模型或 URL 不存在，或模型已下线。",
        remedy_zh="检查模型 ID 与 Base URL。",
    ),
    _class(
        kind="QuotaExceededError",
        cause="The account has no balance, or a quota is used up.",
        remedy="Top up or raise the quota at the vendor; retrying in seconds does not help.",
        cause_zh="账户余额不足或额度用完。",
        remedy_zh="到厂商处充值或提额；几秒后重试没有用。",
    ),
    _class(
        kind="RateLimitError",
        cause="Too many requests just now.",
        remedy="Send fewer at once, and wait as long as retry_after says.",
        cause_zh="当前请求过多。",
        remedy_zh="降低并发，并按 retry_after 等待。",
    ),
    _class(
        kind="ContextLengthExceededError",
        cause="The messages are longer than the model's context.",
        remedy="Shorten the history, or choose a model with a longer context.",
        cause_zh="消息超过模型的上下文长度。",
        remedy_zh="缩短历史，或换上下文更长的模型。",
    ),
    _class(
        kind="ContentFilterError",
        cause="The vendor's moderation refused the input or the output.",
        remedy="Change the wording or the image; the same request will be refused again.",
        cause_zh="输入或输出被厂商的内容审核拒绝。",
        remedy_zh="修改措辞或图片；原样重试仍会被拒绝。",
    ),
    _class(
        kind="NoImageError",
        cause="The model answered without an image.",
        remedy="Say clearly that an image is wanted; error.text has what the model said.",
        cause_zh="模型的回答里没有图片。",
        remedy_zh="在提示词中明确要求画图；error.text 是模型的回答。",
    ),
    _class(
        kind="OutcomeUnknownError",
        cause="The request was sent and no answer came: the image may have been made and billed.",
        remedy="Look at the vendor's usage page before paying again. retry_ambiguous=True sends it again all the same.",
        cause_zh="请求已发出但没有收到结果：图片可能已生成并计费。",
        remedy_zh="重新付费前先查看厂商的用量页。retry_ambiguous=True 会不管这一点再发一次。",
    ),
    _class(
        kind="ProviderTimeoutError",
        cause="No complete answer came in time.",
        remedy="Raise timeout= (seconds); images and long answers take minutes.",
        cause_zh="在规定时间内没有收到完整结果。",
        remedy_zh="调大 timeout=（秒）；生图和长回答需要几分钟。",
    ),
    _class(
        kind="ConnectionFailedError",
        cause="The vendor could not be reached.",
        remedy="Check the network, the base URL and the proxy; 'aigc-kit doctor --online' tests them.",
        cause_zh="无法连接到厂商。",
        remedy_zh="检查网络、Base URL 和代理；aigc-kit doctor --online 可以测试。",
    ),
    _class(
        kind="ServerError",
        cause="The vendor failed or is overloaded.",
        remedy="For chat, call again. For an image the outcome is unknown: check the usage before paying again.",
        cause_zh="厂商服务出错或过载。",
        remedy_zh="对话可以重试。生图的结果未知：重新付费前先核对用量。",
    ),
    _class(
        kind="InvalidReplyError",
        cause="The answer is not what the vendor promises; often the base URL leads to a web page or another API.",
        remedy="Check the base URL. For an image look at error.result: what was found in the answer is in it.",
        cause_zh="返回内容不符合接口约定；常见原因是 Base URL 指向了网页或其他接口。",
        remedy_zh="检查 Base URL。生图时查看 error.result，里面有从返回内容中找到的图片。",
    ),
    _class(
        kind="StreamInterruptedError",
        cause="The stream broke before its end.",
        remedy="Call again; error.partial has what was received. A proxy that cuts long connections is a frequent cause.",
        cause_zh="流在结束前中断。",
        remedy_zh="重试；error.partial 是已收到的部分。常见原因是代理切断了长连接。",
    ),
    _class(
        kind="OutputTruncatedError",
        cause="The answer was cut at the limit of tokens.",
        remedy="Raise max_tokens=.",
        cause_zh="回答在 Token 上限处被截断。",
        remedy_zh="调大 max_tokens=。",
    ),
    _class(
        kind="StructuredOutputError",
        cause="The answer breaks the schema after the last repair.",
        remedy="Make the schema simpler, choose a model with native JSON schema, or raise max_repairs.",
        cause_zh="修复后回答仍不符合 schema。",
        remedy_zh="简化 schema，换原生支持 JSON Schema 的模型，或调大 max_repairs。",
    ),
    _class(
        kind="StorageError",
        cause="The store failed. An image that was paid for is in error.result.",
        remedy="Mend the store, then client.store(error.result): it does not pay again.",
        cause_zh="存储失败。已付费的图片在 error.result 中。",
        remedy_zh="修好存储后调用 client.store(error.result)，不会再次付费。",
    ),
)
