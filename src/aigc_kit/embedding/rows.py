"""
Facts about embedding models and the vendors that serve them: tables, no code that talks.

Patterns are matched against the bare model name (``bare``), case-insensitively, the first that fits
counts; an unknown model passes through with its vendor's last row. Sources: the SDKs and pages that
are named at each row, read 2026-11-25.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aigc_kit.transport import codes
from aigc_kit.transport.failures import Judge

INPUT_TYPES = ("query", "document", "classification", "clustering", "similarity")


@dataclass(frozen=True, eq=False)
class Model:
    """
    One model, or a family.

    - ``size``: numbers of a vector when nothing is asked, 0 where it is not known.
    - ``sizes``: those that may be asked; empty: any from ``smallest`` to ``size``, and where that is
      not known any at all.
    - ``is_fixed``: ``dimensions`` cannot be asked; old models ignore it without a word.
    - ``cuts_here``: shorter vectors are cut by this library and normalised.
    - ``is_unit``: whether vectors have length 1: ``"yes"``, ``"full size"`` or ``"unknown"``.
    - ``texts``, ``text_tokens``, ``tokens``: what one request takes: texts, tokens of one text,
      tokens of all; 0 is not limited or not known.
    - ``is_single``: a request gives one vector, whatever is in it.
    - ``kinds``: how ``input_type`` is told to it; ``""``: it makes no difference.
    - ``wire``: the form of the request, where the vendor has several.
    """

    pattern: str
    size: int = 0
    sizes: tuple[int, ...] = ()
    smallest: int = 1
    is_fixed: bool = False
    cuts_here: bool = False
    is_unit: str = "unknown"
    texts: int = 0
    text_tokens: int = 0
    tokens: int = 0
    is_single: bool = False
    kinds: str = ""
    wire: str = "openai"


@dataclass(frozen=True, eq=False)
class Row:
    """
    One vendor: its default models and its models' facts.

    - ``base64``: whether vectors are asked for in base64, on the vendor's own host.
    - ``rerank_path``: behind ``base_url``; ``""``: the vendor has no rerank.
    """

    name: str
    model: str
    models: tuple[Model, ...]
    judge: Judge = codes.openai
    base64: bool = False
    rerank_model: str = ""
    rerank_path: str = ""


# openai 3.54 embedding_create_params.py: 2048 inputs, 8192 tokens each, 300,000 together.
_OPENAI = (
    Model(
        r"text-embedding-3-small.*",
        1536,
        is_unit="yes",
        texts=2048,
        text_tokens=8192,
        tokens=300_000,
    ),
    Model(
        r"text-embedding-3-large.*",
        3072,
        is_unit="yes",
        texts=2048,
        text_tokens=8192,
        tokens=300_000,
    ),
    Model(
        r"text-embedding-ada-002.*",
        1536,
        is_fixed=True,
        is_unit="yes",
        texts=2048,
        text_tokens=8192,
        tokens=300_000,
    ),
)

# The instruction stands in the text of a query, a document has none. Source:
# https://huggingface.co/Qwen/Qwen3-Embedding-8B.
_OPEN_MODELS = (
    Model(r"qwen3-embedding-0\.6b.*", 1024, texts=32, text_tokens=32_000, kinds="instruction"),
    Model(r"qwen3-embedding-4b.*", 2560, texts=32, text_tokens=32_000, kinds="instruction"),
    Model(r"qwen3-embedding-8b.*", 4096, texts=32, text_tokens=32_000, kinds="instruction"),
    Model(r"bge-m3.*", 1024, is_fixed=True, is_unit="yes", texts=32, text_tokens=8192),
    Model(r"bge-large-.*", 1024, is_fixed=True, is_unit="yes", texts=32, text_tokens=512),
)

_V4 = (2048, 1536, 1024, 768, 512, 256, 128, 64)

ROWS = {
    row.name: row
    for row in (
        Row("openai", "text-embedding-3-small", (*_OPENAI, Model(r".*")), base64=True),
        # help.aliyun.com document 2975738, text-embedding-synchronous-api, March 2026; rerank:
        # litellm 1.110 dashscope/rerank. The compatible API knows no text_type, the native one does.
        Row(
            "dashscope",
            "text-embedding-v4",
            (
                Model(
                    r"text-embedding-v4.*",
                    1024,
                    _V4,
                    texts=10,
                    text_tokens=8192,
                    kinds="text_type",
                ),
                Model(
                    r"text-embedding-v3.*",
                    1024,
                    (1024, 768, 512, 256, 128, 64),
                    texts=10,
                    text_tokens=8192,
                    kinds="text_type",
                ),
                Model(
                    r"text-embedding-v[12].*",
                    1536,
                    is_fixed=True,
                    texts=25,
                    text_tokens=2048,
                    kinds="text_type",
                ),
                # dashscope 2.0.2 embeddings/multimodal_embedding.py. How many contents give a vector
                # of their own depends on the model, so each text is a request.
                Model(
                    r".*(-vl-|-vision|multimodal-).*", is_single=True, wire="dashscope multimodal"
                ),
                Model(r".*", texts=10, text_tokens=8192, kinds="text_type"),
            ),
            rerank_model="qwen3-rerank",
            rerank_path="/compatible-api/v1/reranks",
        ),
        # volcengine-ark-runtime 5.0.54 resources/multimodal_embeddings.py and embeddings.py;
        # volcengine docs 84313/1254554. All parts of a multimodal request give one vector.
        Row(
            "volcengine",
            "doubao-embedding-vision-251215",
            (
                Model(
                    r"doubao-embedding-vision-241215",
                    3072,
                    is_fixed=True,
                    is_single=True,
                    text_tokens=8192,
                    wire="ark multimodal",
                ),
                Model(
                    r"doubao-embedding-vision.*",
                    2048,
                    (2048, 1024),
                    is_single=True,
                    text_tokens=8192,
                    wire="ark multimodal",
                ),
                Model(
                    r"doubao-embedding-large-text-240915",
                    4096,
                    cuts_here=True,
                    texts=256,
                    text_tokens=4096,
                ),
                Model(
                    r"doubao-embedding-large-text.*",
                    2048,
                    cuts_here=True,
                    texts=256,
                    text_tokens=4096,
                ),
                Model(
                    r"doubao-embedding-text.*", 2560, cuts_here=True, texts=256, text_tokens=4096
                ),
                # An endpoint (``ep-``) does not say which model it has: ``family`` does.
                Model(r".*", is_single=True, text_tokens=8192, wire="ark multimodal"),
            ),
            judge=codes.ark,
        ),
        # docs.bigmodel.cn, api-reference of text embeddings.
        Row(
            "glm",
            "embedding-3",
            (
                Model(r"embedding-3.*", 2048, (256, 512, 1024, 2048), texts=64, text_tokens=3072),
                Model(
                    r"embedding-2.*", 1024, is_fixed=True, texts=64, text_tokens=512, tokens=8000
                ),
                Model(r".*", texts=64),
            ),
            judge=codes.glm,
            rerank_model="rerank",
            rerank_path="/rerank",
        ),
        # docs.siliconflow.cn, llama_index's siliconflow integration.
        Row(
            "siliconflow",
            "Qwen/Qwen3-Embedding-8B",
            (*_OPEN_MODELS, Model(r".*", texts=32)),
            rerank_model="BAAI/bge-reranker-v2-m3",
            rerank_path="/rerank",
        ),
        # Unknown servers: TEI takes 32 texts unless it is told otherwise, the others more.
        Row(
            "openai_compat",
            "",
            (*_OPENAI, *_OPEN_MODELS, Model(r".*", texts=32)),
            rerank_path="/rerank",
        ),
    )
}

# ai.google.dev/gemini-api/docs/embeddings, pydantic-ai 2.68 google.py. A batch of more than 100 was
# seen to come back in another order. Only the full vectors of 001 have length 1.
GEMINI = (
    Model(
        r"gemini-embedding-001.*",
        3072,
        smallest=128,
        is_unit="full size",
        texts=100,
        text_tokens=2048,
        kinds="task_type",
    ),
    Model(
        r"gemini-embedding-2.*",
        3072,
        smallest=128,
        is_unit="full size",
        texts=100,
        text_tokens=8192,
        kinds="task in text",
    ),
    Model(r".*", texts=100, kinds="task_type"),
)

# docs.cloud.google.com batch-prediction-genai-embeddings: an online request to a Gemini model takes
# one input; :predict takes 250 texts of 20,000 tokens together.
VERTEX = (
    Model(
        r"gemini-embedding-001.*",
        3072,
        smallest=128,
        is_unit="full size",
        texts=1,
        text_tokens=2048,
        kinds="task_type",
    ),
    Model(
        r"gemini-embedding-2.*",
        3072,
        smallest=128,
        is_unit="full size",
        texts=1,
        text_tokens=8192,
        kinds="task in text",
    ),
    Model(
        r"text-(multilingual-)?embedding-.*",
        768,
        texts=250,
        text_tokens=2048,
        tokens=20_000,
        kinds="task_type",
    ),
    Model(r".*", texts=1, kinds="task_type"),
)

# pydantic-ai 2.68 bedrock.py, litellm 1.110; docs.aws.amazon.com/bedrock, model parameters.
BEDROCK = (
    Model(
        r".*titan-embed-text-v2.*",
        1024,
        (256, 512, 1024),
        is_unit="yes",
        is_single=True,
        text_tokens=8192,
        wire="titan",
    ),
    Model(
        r".*titan-embed-image.*",
        1024,
        (256, 384, 1024),
        is_unit="yes",
        is_single=True,
        text_tokens=128,
        wire="titan image",
    ),
    Model(
        r".*titan-embed-.*",
        1536,
        is_fixed=True,
        is_single=True,
        text_tokens=8192,
        wire="titan fixed",
    ),
    Model(
        r".*cohere\.embed-v4.*",
        1536,
        (256, 512, 1024, 1536),
        texts=96,
        text_tokens=128_000,
        kinds="input_type",
        wire="cohere v4",
    ),
    Model(
        r".*cohere\.embed-.*",
        1024,
        is_fixed=True,
        texts=96,
        text_tokens=512,
        kinds="input_type",
        wire="cohere",
    ),
    Model(
        r".*nova-.*embed.*",
        3072,
        (256, 384, 1024, 3072),
        is_single=True,
        text_tokens=8172,
        kinds="purpose",
        wire="nova",
    ),
)

TASKS = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}
"""``input_type`` as ``task_type`` of Gemini and Vertex AI."""

TASKS_IN_TEXT = {
    "query": "task: search result | query: {text}",
    "document": "title: none | text: {text}",
    "classification": "task: classification | query: {text}",
    "clustering": "task: clustering | query: {text}",
    "similarity": "task: sentence similarity | query: {text}",
}
"""``input_type`` for gemini-embedding-2, which reads no ``task_type``."""

QWEN_QUERY = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\n"
    "Query:{text}"
)

COHERE_TYPES = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}

NOVA_PURPOSES = {
    "query": "TEXT_RETRIEVAL",
    "document": "GENERIC_INDEX",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}

TOO_MANY = re.compile(
    r"batch[ _]size|only one (content|input|text)|too many (inputs|texts|items|elements)|(inputs?|texts?|contents?|array|list)"
    r".{0,40}(too (long|large|many)|at most|larger than|exceed|no more than|maximum)"
    r"|max\w*.{0,30}(inputs|texts|items|batch)|(tokens per request|max_tokens_per_request)"
    r"|批量|最多.{0,10}(条|个)|(条|个)数.{0,10}超",
    re.IGNORECASE,
)
"""
Words of a refusal that a smaller request may not meet. DashScope: "batch size is invalid, it should
not be larger than 10"; OpenAI: "maximum request size is 300000 tokens per request"; TEI: "batch size
64 > maximum allowed batch size 32".
"""

MOST_NUMBERS = 400_000
"""Numbers of all vectors of one response: as text they are 8 MB, half of what is read."""

UNKNOWN_SIZE = 4096
"""The size of a vector where it is not known, for ``MOST_NUMBERS``."""


def bare(model: str) -> str:
    """The name without what relays put before it: ``BAAI/``, ``models/``, ``openai/``."""
    if "arn:" in model:
        return model
    return model.strip().rpartition("/")[2]


def model_of(models: tuple[Model, ...], name: str) -> Model | None:
    """The facts of a model; None where no row fits."""
    plain = bare(name)
    for model in models:
        if re.fullmatch(model.pattern, plain, re.IGNORECASE):
            return model
    return None
