"""Stores that speak S3's protocol: R2, AWS, OSS, COS, TOS and others."""

from __future__ import annotations

from functools import partial

from aigc_kit.hints.row import Row

_row = partial(
    Row,
    vendor="s3",
    source="https://developers.cloudflare.com/r2/api/error-codes/",
    date="2026-11-25",
)
_AWS = "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"

ROWS = (
    _row(
        codes=("NoSuchBucket",),
        cause="The bucket does not exist at this endpoint.",
        remedy="Check the bucket's name (R2_BUCKET_NAME) and that the endpoint is of the same account and jurisdiction.",
        cause_zh="该端点下没有这个存储桶。",
        remedy_zh="检查桶名（R2_BUCKET_NAME），并确认端点属于同一账号和辖区。",
    ),
    _row(
        codes=("InvalidAccessKeyId",),
        cause="The store does not know the access key id.",
        remedy="Use keys of this store and account: for R2 an API token's access key id and secret, not the token itself.",
        cause_zh="存储服务不认识这个 Access Key ID。",
        remedy_zh="使用此存储与账号的密钥：R2 要用 API 令牌对应的 Access Key ID 和 Secret，而不是令牌本身。",
    ),
    _row(
        codes=("SignatureDoesNotMatch",),
        cause="The secret does not belong to the access key id, or the region is wrong.",
        remedy="Copy both again; they are shown together only once, when the key is made.",
        cause_zh="Secret 与 Access Key ID 不匹配，或区域不对。",
        remedy_zh="重新复制两者；它们只在创建时一起显示一次。",
    ),
    _row(
        codes=("Unauthorized",),
        cause="The store accepts neither the keys nor the signature. R2 says so of checksum trailers too.",
        remedy="Check the keys. With an own boto3 client, set request_checksum_calculation='when_required'.",
        cause_zh="存储服务不接受密钥或签名。R2 对校验和 trailer 也返回这个错误。",
        remedy_zh="检查密钥。自建 boto3 客户端时设置 request_checksum_calculation='when_required'。",
    ),
    _row(
        codes=("403",),
        cause="Access is denied: the keys are wrong, or may not read this bucket.",
        remedy="Check the keys and their permission on this bucket. AWS says 403 also of missing objects where the keys lack ListBucket.",
        cause_zh="拒绝访问：密钥不对，或无权读取此桶。",
        remedy_zh="检查密钥及其在此桶上的权限。没有 ListBucket 权限时，AWS 对不存在的对象也返回 403。",
        source=_AWS,
    ),
    _row(
        codes=("AccessDenied",),
        cause="The keys may not do this in this bucket.",
        remedy="For R2 give the token 'Object Read & Write' on this bucket; elsewhere check the bucket's policy. AWS says 403 also of missing objects without ListBucket.",
        cause_zh="该密钥无权在此桶中进行此操作。",
        remedy_zh="R2:给令牌授予该桶的“对象读写”权限；其他存储检查桶策略。没有 ListBucket 权限时，AWS 对不存在的对象也返回 403。",
    ),
    _row(
        codes=("SecondLevelDomainForbidden", "PathStyleDomainForbidden", "InvalidPathAccess"),
        cause="This store wants the bucket in the host, not in the path.",
        remedy="Pass addressing_style='virtual'.",
        cause_zh="该存储要求桶名放在域名里，不能放在路径里。",
        remedy_zh="传 addressing_style='virtual'。",
        source="https://cloud.tencent.com/document/product/436/102489",
    ),
    _row(
        codes=("PermanentRedirect", "AuthorizationHeaderMalformed", "301"),
        cause="The bucket is in another region than the request says.",
        remedy="Pass the bucket's own region= and endpoint.",
        cause_zh="桶所在区域与请求不符。",
        remedy_zh="传入该桶自己的 region= 与端点。",
        source=_AWS,
    ),
    _row(
        codes=("AccessControlListNotSupported",),
        cause="The bucket has no ACLs (AWS buckets since April 2023).",
        remedy="Leave acl= out, and make the bucket public by its policy or a CDN.",
        cause_zh="该桶不支持 ACL（2023 年 4 月以后创建的 AWS 桶）。",
        remedy_zh="不要传 acl=，改用桶策略或 CDN 公开。",
        source=_AWS,
    ),
    _row(
        codes=("RequestTimeTooSkewed", "ExpiredRequest"),
        cause="This machine's clock is more than 15 minutes off.",
        remedy="Synchronize the clock (NTP). In WSL run 'sudo hwclock -s'.",
        cause_zh="本机时钟偏差超过 15 分钟。",
        remedy_zh="同步时钟（NTP）。WSL 中运行 sudo hwclock -s。",
        source=_AWS,
    ),
    _row(
        codes=("UserDisable",),
        cause="The Alibaba Cloud account is in arrears or disabled.",
        remedy="Top up the account.",
        cause_zh="阿里云账号欠费或被停用。",
        remedy_zh="充值或联系客服。",
        source="https://help.aliyun.com/zh/oss/developer-reference/error-codes (unverified)",
    ),
    _row(
        codes=("NoCredentialsError", "PartialCredentialsError"),
        cause="No AWS credentials were found on this machine.",
        remedy="Pass access_key_id and secret_access_key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        cause_zh="本机没有 AWS 凭证。",
        remedy_zh="传入 access_key_id 与 secret_access_key，或设置 AWS_ACCESS_KEY_ID 和 AWS_SECRET_ACCESS_KEY。",
        source=_AWS,
    ),
    _row(
        codes=("NoRegionError",),
        cause="No region is set.",
        remedy="Pass region= or set AWS_REGION.",
        cause_zh="没有设置区域。",
        remedy_zh="传 region=，或设置 AWS_REGION。",
        source=_AWS,
    ),
    _row(
        codes=("SlowDown", "ServiceUnavailable", "InternalError", "TooManyRequests"),
        cause="The store is overloaded just now.",
        remedy="Upload again later: client.store(error.result) does not pay again.",
        cause_zh="存储服务当前过载。",
        remedy_zh="稍后再上传：client.store(error.result) 不会再次付费。",
    ),
)
