"""Stores that give bytes an address."""

from aigc_kit.storage.base import Storage, StoredObject
from aigc_kit.storage.local import LocalStorage
from aigc_kit.storage.r2 import R2Storage
from aigc_kit.storage.s3 import S3Storage

__all__ = ["LocalStorage", "R2Storage", "S3Storage", "Storage", "StoredObject"]
