"""
The variables that point an application at the sandbox, under the names that this package and the
vendors' own SDKs read.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from types import TracebackType

BUCKET = "pictures"
SECRET = "secret"  # noqa: S105 - of the sandbox's own store
_COMPATIBLE = {
    # (prefix of the path, stems of the variables)
    "openai": ("/openai/v1", ("OPENAI",)),
    "deepseek": ("/deepseek", ("DEEPSEEK",)),
    "glm": ("/api/paas/v4", ("ZAI", "ZHIPUAI")),
    "volcengine": ("/api/v3", ("VOLCENGINE", "ARK")),
    "moonshot": ("/moonshot/v1", ("MOONSHOT",)),
    "dashscope": ("/compatible-mode/v1", ("DASHSCOPE",)),
    "siliconflow": ("/siliconflow/v1", ("SILICONFLOW",)),
    "openrouter": ("/openrouter/v1", ("OPENROUTER",)),
    "xai": ("/xai/v1", ("XAI",)),
    "azure": ("/azure/openai/v1", ("AZURE_OPENAI",)),
    "ollama": ("/ollama/v1", ("OLLAMA",)),
    "vllm": ("/vllm/v1", ("VLLM",)),
    "lmstudio": ("/lmstudio/v1", ("LM_STUDIO",)),
    "minimax": ("/minimax/v1", ("MINIMAX",)),
    "hunyuan": ("/hunyuan/v1", ("TOKENHUB",)),
    "qianfan": ("/qianfan/v2", ("QIANFAN",)),
    "stepfun": ("/stepfun/v1", ("STEPFUN",)),
    "mistral": ("/mistral/v1", ("MISTRAL",)),
    "groq": ("/groq/openai/v1", ("GROQ",)),
    "together": ("/together/v1", ("TOGETHER",)),
    "modelscope": ("/modelscope/v1", ("MODELSCOPE",)),
    "openai_compat": ("/local/v1", ("OPENAI_COMPAT",)),
}
# They would send an application elsewhere, or win over what is set here.
_REMOVED = (
    "OPENAI_ORG_ID",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT_ID",
    "ZHIPU_API_KEY",
    "BIGMODEL_API_KEY",
    "KIMI_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_ENTERPRISE",
    "AWS_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_SESSION_TOKEN",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    # Stores that the sandbox has under options alone: a test must not write into a real bucket.
    *(f"OSS_{name}" for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SESSION_TOKEN")),
    *("COS_SECRET_ID", "COS_SECRET_KEY", "COS_SESSION_TOKEN"),
    *("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_REGION"),
    *("TOS_ACCESS_KEY", "TOS_SECRET_KEY", "TOS_SECURITY_TOKEN"),
    *("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_SESSION_TOKEN"),
    *("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
    *(
        f"{store}_{name}"
        for store in ("OSS", "COS", "TOS", "MINIO")
        for name in ("REGION", "ENDPOINT", "BUCKET", "BUCKET_NAME", "PUBLIC_BASE_URL")
    ),
)


class Environment(dict[str, str]):
    """
    Variables, and those that must not be set (``removed``).

    As a context manager it sets them for this process and puts everything back afterwards.
    """

    def __init__(self, variables: Mapping[str, str], removed: Iterable[str]) -> None:
        super().__init__(variables)
        self.removed = tuple(removed)
        self._before: list[dict[str, str]] = []

    def __enter__(self) -> Environment:
        self._before.append(dict(os.environ))
        os.environ.update(self)
        for name in self.removed:
            os.environ.pop(name, None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        before = self._before.pop()
        for name in (*self, *self.removed):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]

    def over(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Another environment with these variables, e.g. ``subprocess.run(env=...)``."""
        kept = {name: value for name, value in variables.items() if name not in self.removed}
        return {**kept, **self}

    def shell(self) -> str:
        """Lines for ``eval`` in a POSIX shell."""
        lines = [f"unset {name}" for name in self.removed]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in self.items()]
        return "\n".join(lines)

    def dotenv(self) -> str:
        """Lines of a ``.env`` file."""
        return "\n".join(f"{name}={value}" for name, value in self.items())


def environment_of(url: str, api_key: str) -> Environment:
    """The variables of every vendor, and of R2 and S3, for a sandbox at this URL."""
    found: dict[str, str] = {}
    for prefix, stems in _COMPATIBLE.values():
        for stem in stems:
            found |= {f"{stem}_API_KEY": api_key, f"{stem}_BASE_URL": url + prefix}
    found["AZURE_OPENAI_ENDPOINT"] = url  # of the openai SDK's own class for Azure
    found |= {"BFL_API_KEY": api_key, "BFL_BASE_URL": url + "/bfl/v1"}
    found["OPENAI_COMPAT_MODEL"] = "local-model"
    found |= {
        "GEMINI_API_KEY": api_key,
        "GOOGLE_API_KEY": api_key,
        "GOOGLE_GEMINI_BASE_URL": url,
        "AWS_ACCESS_KEY_ID": api_key,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_ENDPOINT_URL_BEDROCK": url,
        "AWS_ENDPOINT_URL_S3": f"{url}/s3",
        "R2_ACCESS_KEY_ID": api_key,
        "R2_ACCESS_KEY_SECRET": SECRET,
        "R2_ENDPOINT": f"{url}/s3",
        "R2_BUCKET_NAME": BUCKET,
        "R2_PUBLIC_DOMAIN": f"{url}/public/{BUCKET}",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    return Environment(found, _REMOVED)
