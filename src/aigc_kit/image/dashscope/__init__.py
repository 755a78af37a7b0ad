"""Images of Alibaba's DashScope (Model Studio, 百炼): Qwen-Image, Wan, Z-Image."""
