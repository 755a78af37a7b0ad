"""Every text of the doctor, in English and Chinese, by the finding's code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """What was found, and what to do about it (``""``: nothing), with the names of its values in braces."""

    en: str
    en_fix: str
    zh: str
    zh_fix: str

    def said(self, language: str) -> str:
        return self.zh if language == "zh" else self.en

    def fix(self, language: str) -> str:
        return self.zh_fix if language == "zh" else self.en_fix


def _fact(en: str, zh: str) -> Text:
    return Text(en, "", zh, "")


TEXTS: dict[str, Text] = {
    # ---- keys
    "key": _fact("the key comes from {variable} ({value})", "Key 来自 {variable}（{value}）"),
    "key_missing": Text(
        "no key is set",
        "set {variables}; keys are made at {console}",
        "没有设置 Key",
        "设置 {variables}；在 {console} 创建 Key",
    ),
    "key_same": Text(
        "{variable} has the same key as {used}",
        "one of them is enough",
        "{variable} 与 {used} 的 Key 相同",
        "保留一个即可",
    ),
    "key_shadowed": Text(
        "{variable} ({value}) is not used: {used} wins",
        "unset {used} to use it, or remove {variable}",
        "{variable}（{value}）不生效：{used} 优先",
        "要使用它就取消 {used}，否则删除 {variable}",
    ),
    "placeholder": Text(
        "{variable} still has the placeholder {value!r}, which does not count as a key",
        "put your own key there ({console}), or remove the line",
        "{variable} 仍是占位符 {value!r}，不算 Key",
        "填入自己的 Key（{console}），或删除这一行",
    ),
    "dotenv_shadowed": Text(
        "{variable} in .env differs from the environment's, which wins",
        "run 'unset {variable}' in the shell, or make them the same",
        ".env 中的 {variable} 与环境变量不同，环境变量优先",
        "在 shell 中运行 unset {variable}，或改成一致",
    ),
    "key_wrapped": Text(
        "{variable} has quotes or 'Bearer' around the key; they are taken off",
        "write the bare key",
        "{variable} 的 Key 带有引号或 Bearer，已自动去掉",
        "只写 Key 本身",
    ),
    "key_characters": Text(
        "{variable} has characters that no key has",
        "copy the key again; a blank, a line break or a full-width character came along",
        "{variable} 含有 Key 中不会出现的字符",
        "重新复制；可能混入了空格、换行或全角字符",
    ),
    "setting_bad": Text(
        "{variable} cannot be used: {problem}",
        "correct it, or remove it",
        "{variable} 无法使用：{problem}",
        "改正，或删除",
    ),
    "idle": Text(
        "not set up: {names}",
        "",
        "未配置：{names}",
        "",
    ),
    # ---- base URLs
    "base_url": _fact("requests go to {url}", "请求发往 {url}"),
    "base_url_set": _fact("requests go to {url} ({variable})", "请求发往 {url}（{variable}）"),
    "base_url_bad": Text(
        "{variable} is not a URL: {problem}",
        "write it like https://api.example.com/v1, or remove the variable",
        "{variable} 不是合法的 URL：{problem}",
        "写成 https://api.example.com/v1 的形式，或删除该变量",
    ),
    "base_url_http": Text(
        "{url} is not encrypted: the key can be read on its way",
        "use https://",
        "{url} 未加密，Key 在传输中可能被读取",
        "改用 https://",
    ),
    "base_url_placeholder": Text(
        "{variable} is a placeholder",
        "put the real URL there, or remove the variable",
        "{variable} 是占位符",
        "填入真实 URL，或删除该变量",
    ),
    "base_url_path": Text(
        "{url} is the vendor's host with another path than its API has",
        "use {home}",
        "{url} 是厂商的域名，但路径与其 API 不同",
        "使用 {home}",
    ),
    "plan_url": Text(
        "this is the URL of the {plan}: only its keys work there, and they work nowhere else",
        "with a pay-as-you-go key use {home}",
        "这是 {plan} 的 URL：只有该套餐的 Key 可用，且这种 Key 只能用在这里",
        "按量付费的 Key 请使用 {home}",
    ),
    "plan_images": Text(
        "plans are for chat: image requests to {url} will probably fail",
        "for images use a pay-as-you-go key on {home}",
        "套餐用于对话：向 {url} 请求生图多半会失败",
        "生图请在 {home} 使用按量付费的 Key",
    ),
    "international": Text(
        "this is the vendor's API outside of China; its keys and model ids are its own",
        "",
        "这是厂商的国际站 API，Key 与模型 ID 独立于国内站",
        "",
    ),
    # ---- models
    "model": _fact("model {model} ({where})", "模型 {model}（{where}）"),
    "model_retired": Text(
        "model {model} ({where}) was retired on {on}",
        "use {use}",
        "模型 {model}（{where}）已于 {on} 下线",
        "改用 {use}",
    ),
    "model_ending": Text(
        "model {model} ({where}) ends on {on}",
        "move to {use}",
        "模型 {model}（{where}）将于 {on} 下线",
        "迁移到 {use}",
    ),
    "model_unknown": Text(
        "model {model} ({where}) is not in the tables of this version: its sizes are not checked",
        "check the spelling; a newer version may know it",
        "模型 {model}（{where}）不在此版本的表中，不会检查尺寸",
        "检查拼写；新版本可能已收录",
    ),
    "model_endpoint": Text(
        "{model} is an endpoint: its family cannot be told from its name",
        "pass family= (for example '4.5'), so that sizes are checked",
        "{model} 是推理接入点，无法从名字判断模型系列",
        "传 family=（例如 '4.5'），这样才会检查尺寸",
    ),
    "model_not_listed": Text(
        "model {model} ({wing}) is not in the vendor's list for this key",
        "check the id, and whether the model has been opened for the account",
        "模型 {model}（{wing}）不在此 Key 的模型列表中",
        "检查 ID，并确认账号已开通该模型",
    ),
    # ---- Google
    "google_developer": _fact(
        "uses the Developer API with {variable}", "使用 Developer API，Key 来自 {variable}"
    ),
    "google_no_key": Text(
        "GOOGLE_GENAI_USE_VERTEXAI=false needs a key, and none is set",
        "set GEMINI_API_KEY",
        "GOOGLE_GENAI_USE_VERTEXAI=false 需要 Key，但没有设置",
        "设置 GEMINI_API_KEY",
    ),
    "google_vertex": _fact(
        "uses Vertex AI (project {project})", "使用 Vertex AI（项目 {project}）"
    ),
    "google_key_unused": Text(
        "{variable} is not used: the project or the credentials of Vertex AI win",
        "set GOOGLE_GENAI_USE_VERTEXAI=false to use the key",
        "{variable} 不生效：Vertex AI 的项目或凭证优先",
        "要用 Key，请设置 GOOGLE_GENAI_USE_VERTEXAI=false",
    ),
    "google_project_placeholder": Text(
        "GOOGLE_CLOUD_PROJECT is the placeholder {value!r}",
        "set it to the project's id ('gcloud projects list')",
        "GOOGLE_CLOUD_PROJECT 仍是占位符 {value!r}",
        "改为项目 ID（gcloud projects list 可查）",
    ),
    "google_location": Text(
        "GOOGLE_CLOUD_LOCATION={location}: the current image models are served in 'global' alone",
        "set GOOGLE_CLOUD_LOCATION=global, unless a model needs the region",
        "GOOGLE_CLOUD_LOCATION={location}：当前的生图模型只在 global 提供",
        "设为 global，除非某个模型需要该区域",
    ),
    "google_file": _fact("credentials: {path} ({kind})", "凭证：{path}（{kind}）"),
    "google_file_placeholder": Text(
        "GOOGLE_APPLICATION_CREDENTIALS is the placeholder {path!r}",
        "set it to your service account file, or remove it and run 'gcloud auth application-default login'",
        "GOOGLE_APPLICATION_CREDENTIALS 仍是占位符 {path!r}",
        "改为服务账号文件的路径，或删除它并运行 gcloud auth application-default login",
    ),
    "google_file_missing": Text(
        "the credentials file {path} cannot be read: {problem}",
        "correct GOOGLE_APPLICATION_CREDENTIALS; in a container the file must be mounted",
        "无法读取凭证文件 {path}：{problem}",
        "改正 GOOGLE_APPLICATION_CREDENTIALS；在容器中要挂载该文件",
    ),
    "google_file_broken": Text(
        "the credentials file {path} is not JSON",
        "download the key of the service account again",
        "凭证文件 {path} 不是 JSON",
        "重新下载服务账号密钥",
    ),
    "google_file_kind": Text(
        "{path} is JSON, but not a credentials file: it has no 'type'",
        "use the file that 'IAM > Service accounts > Keys' gives",
        "{path} 是 JSON，但不是凭证文件：缺少 type 字段",
        "使用“IAM > 服务账号 > 密钥”下载的文件",
    ),
    "google_no_credentials": Text(
        "no credentials file is here ({path}); that is right only on a machine of Google Cloud",
        "run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS",
        "本机没有凭证文件（{path}）；只有在 Google Cloud 的机器上才正常",
        "运行 gcloud auth application-default login，或设置 GOOGLE_APPLICATION_CREDENTIALS",
    ),
    "google_no_project": Text(
        "no project is set, and the credentials name none",
        "set GOOGLE_CLOUD_PROJECT",
        "没有设置项目，凭证中也没有",
        "设置 GOOGLE_CLOUD_PROJECT",
    ),
    # ---- AWS
    "aws_half": Text(
        "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set",
        "set both or neither",
        "AWS_ACCESS_KEY_ID 和 AWS_SECRET_ACCESS_KEY 只设置了一个",
        "两个都设置，或都不设置",
    ),
    "aws_endpoint": Text(
        "AWS_ENDPOINT_URL={url} is used for every AWS service, S3 and Bedrock alike",
        "use AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL_BEDROCK_RUNTIME instead",
        "AWS_ENDPOINT_URL={url} 对所有 AWS 服务生效，包括 S3 和 Bedrock",
        "改用 AWS_ENDPOINT_URL_S3 或 AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    ),
    "aws_bearer_wins": Text(
        "AWS_BEARER_TOKEN_BEDROCK wins over AWS_ACCESS_KEY_ID",
        "unset the one that is not meant",
        "AWS_BEARER_TOKEN_BEDROCK 优先于 AWS_ACCESS_KEY_ID",
        "取消不需要的那个",
    ),
    "aws_profile": _fact("profile {profile}", "配置（profile）{profile}"),
    "aws_profile_missing": Text(
        "AWS_PROFILE={profile} names a profile that does not exist; there are: {names}",
        "correct AWS_PROFILE, unset it, or run 'aws configure --profile {profile}'",
        "AWS_PROFILE={profile} 指定的配置不存在；现有：{names}",
        "改正或取消 AWS_PROFILE，或运行 aws configure --profile {profile}",
    ),
    "aws_sso_absent": Text(
        "profile {profile} signs in by SSO, and there is no session on this machine",
        "run 'aws sso login --profile {profile}'",
        "配置 {profile} 使用 SSO，但本机尚未登录",
        "运行 aws sso login --profile {profile}",
    ),
    "aws_sso_expired": Text(
        "the SSO session of profile {profile} ended at {at}",
        "run 'aws sso login --profile {profile}'",
        "配置 {profile} 的 SSO 会话已于 {at} 过期",
        "运行 aws sso login --profile {profile}",
    ),
    "aws_region": _fact("region {region} ({variable})", "区域 {region}（{variable}）"),
    "aws_no_region": Text(
        "no region is set",
        "set BEDROCK_REGION or AWS_REGION, for example us-east-1",
        "没有设置区域",
        "设置 BEDROCK_REGION 或 AWS_REGION，例如 us-east-1",
    ),
    # ---- network
    "proxy": _fact(
        "requests go through {proxy} ({variable})", "请求经过代理 {proxy}（{variable}）"
    ),
    "proxy_socks": Text(
        "{variable} is a SOCKS proxy, and the package for it is not installed",
        "run 'pip install socksio', or set an http:// proxy",
        "{variable} 是 SOCKS 代理，但未安装所需的包",
        "运行 pip install socksio，或改用 http:// 代理",
    ),
    "proxy_scheme": Text(
        "{variable} has a scheme that is not known: {proxy}",
        "use http://, https:// or socks5://",
        "{variable} 的协议无法识别：{proxy}",
        "使用 http://、https:// 或 socks5://",
    ),
    "proxy_bad": Text(
        "{variable} has no host",
        "write it like http://127.0.0.1:7890",
        "{variable} 没有主机名",
        "写成 http://127.0.0.1:7890 的形式",
    ),
    "certificates": _fact("root certificates: {path}", "根证书：{path}"),
    "certificates_own": _fact("{variable}={path}", "{variable}={path}"),
    "certificates_missing": Text(
        "{variable} names a file that does not exist: {path}",
        "correct it or unset it",
        "{variable} 指向的文件不存在：{path}",
        "改正或取消该变量",
    ),
    "certificates_broken": Text(
        "{variable} names a file without certificates: {path}",
        "it must be PEM ('-----BEGIN CERTIFICATE-----')",
        "{variable} 指向的文件里没有证书：{path}",
        "必须是 PEM 格式（-----BEGIN CERTIFICATE-----）",
    ),
    "certificates_none": Text(
        "this machine has no root certificates: every https request will fail",
        "install the package ca-certificates",
        "本机没有根证书，所有 https 请求都会失败",
        "安装 ca-certificates 包",
    ),
    # ---- stores
    "r2": _fact(
        "bucket {bucket} at {endpoint} (key {key})", "存储桶 {bucket}，端点 {endpoint}（Key {key}）"
    ),
    "r2_missing": Text(
        "{variable} is not set, and other variables of R2 are",
        "set it; R2 > Manage API tokens has the keys and the endpoint",
        "没有设置 {variable}，而 R2 的其他变量已设置",
        "补上；密钥和端点在 R2 > 管理 API 令牌",
    ),
    "r2_placeholder": Text(
        "{variable} is the placeholder {value!r}",
        "put your own value there, or remove all variables of R2",
        "{variable} 仍是占位符 {value!r}",
        "填入自己的值，或删除所有 R2 变量",
    ),
    "store_refused": Text(
        "the settings cannot work: {problem}",
        "correct what the message names",
        "设置无法使用：{problem}",
        "按错误信息改正",
    ),
    "r2_endpoint": Text(
        "R2_ENDPOINT={endpoint} is not an endpoint of R2",
        "it is https://ACCOUNT_ID.r2.cloudflarestorage.com, without the bucket; ignore this for a stand-in",
        "R2_ENDPOINT={endpoint} 不是 R2 的端点",
        "应为 https://账户ID.r2.cloudflarestorage.com，不含桶名；如果是替身服务可忽略",
    ),
    "r2_domain": _fact("the public reads at {domain}", "公开访问域名 {domain}"),
    "r2_no_domain": Text(
        "R2_PUBLIC_DOMAIN is not set: URLs are presigned and end after 7 days",
        "connect a domain to the bucket and set R2_PUBLIC_DOMAIN",
        "没有设置 R2_PUBLIC_DOMAIN：URL 为预签名，7 天后失效",
        "为桶绑定域名，并设置 R2_PUBLIC_DOMAIN",
    ),
    "r2_dev": Text(
        "{domain} is R2's development domain: it is rate limited",
        "connect a domain of your own for production",
        "{domain} 是 R2 的开发域名，有速率限制",
        "生产环境请绑定自有域名",
    ),
    "r2_domain_is_endpoint": Text(
        "R2_PUBLIC_DOMAIN={domain} is the S3 endpoint, which is never public",
        "set the domain that is connected to the bucket, or pub-....r2.dev",
        "R2_PUBLIC_DOMAIN={domain} 是 S3 端点，不能公开访问",
        "改为桶绑定的域名，或 pub-....r2.dev",
    ),
    "s3": _fact(
        "{service} at {endpoint}, {style} style", "{service}，端点 {endpoint}，{style} 寻址"
    ),
    "s3_default_domain": Text(
        "{service} makes browsers download from its own domain instead of showing the image",
        "bind a domain and pass --public-domain (public_base_url)",
        "{service} 的默认域名会让浏览器下载图片而不是显示",
        "绑定自有域名，并传 --public-domain（public_base_url）",
    ),
    # ---- journal
    "journal": _fact("{path} can be written", "{path} 可写"),
    "journal_unwritable": Text(
        "{path} cannot be written: {problem}",
        "choose another directory with AIGC_KIT_SPOOL_DIR, or correct its owner",
        "{path} 不可写：{problem}",
        "用 AIGC_KIT_SPOOL_DIR 指定其他目录，或修正目录的所有者",
    ),
    "journal_room": Text(
        "only {free} are free at {path}",
        "make room: images wait there until they are stored",
        "{path} 所在磁盘只剩 {free}",
        "清理空间：图片在存储完成前保存在这里",
    ),
    "journal_waiting": Text(
        "{count} unfinished purchases are in {path}",
        "run 'aigc-kit resume'",
        "{path} 中有 {count} 笔未完成的购买",
        "运行 aigc-kit resume",
    ),
    "check_failed": Text(
        "the check {check} could not be finished: {problem}",
        "please report it, with what is unusual about this setup",
        "检查项 {check} 未能完成：{problem}",
        "请反馈该问题，并说明环境的特殊之处",
    ),
    # ---- online
    "reached": _fact("the key works ({seconds} s)", "Key 可用（{seconds} 秒）"),
    "no_probe": _fact("no free request is known", "没有已知的免费请求可供测试"),
    "refused": Text(
        "the key was refused: {problem}", "{hint_en}", "Key 被拒绝：{problem}", "{hint_zh}"
    ),
    "plan_keys": Text(
        "keys of a plan work only on its own URL ({plans})",
        "if the key is of a plan, set the base URL to it",
        "套餐的 Key 只能用于其专用 URL（{plans}）",
        "如果是套餐的 Key，请把 Base URL 设为对应地址",
    ),
    "not_found": Text(
        "the model or the URL was not found ({where}): {problem}",
        "{hint_en}",
        "找不到模型或 URL（{where}）：{problem}",
        "{hint_zh}",
    ),
    "failed": Text(
        "the request failed: {problem}", "{hint_en}", "请求失败：{problem}", "{hint_zh}"
    ),
    "clock": Text(
        "this machine's clock is {sign}{seconds} s off",
        "synchronize it (NTP): signatures and tokens are refused otherwise",
        "本机时钟偏差 {sign}{seconds} 秒",
        "同步时钟（NTP），否则签名和令牌会被拒绝",
    ),
    "uploaded": _fact("{key} was uploaded", "已上传 {key}"),
    "upload_failed": Text(
        "the upload failed: {problem}", "{hint_en}", "上传失败：{problem}", "{hint_zh}"
    ),
    "public": _fact("the public can read it at {url}", "公网可以读取 {url}"),
    "public_refused": Text(
        "the public cannot read {url}: status {status}",
        "connect the domain to this bucket, or allow public reading",
        "公网无法读取 {url}：状态 {status}",
        "把域名绑定到这个桶，或允许公开读取",
    ),
    "public_unreachable": Text(
        "{url} cannot be reached: {problem}",
        "check the public domain's name and its DNS entry",
        "无法访问 {url}：{problem}",
        "检查公开域名及其 DNS 记录",
    ),
    "public_attachment": Text(
        "{url} is sent as a download: browsers will not show images",
        "bind a domain of your own",
        "{url} 以下载方式返回，浏览器不会显示图片",
        "绑定自有域名",
    ),
    "deleted": _fact("{key} was deleted again", "已删除 {key}"),
    "not_deleted": Text(
        "{key} could not be deleted: {problem}",
        "the keys may upload but not delete; remove it by hand",
        "无法删除 {key}：{problem}",
        "密钥可以上传但不能删除；请手动删除",
    ),
}
