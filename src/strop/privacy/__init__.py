"""Finds personal data in English and Chinese texts, and masks it, before anything is stored or learnt from."""

from strop.privacy.found import KINDS, Finder, Found, Kind, Masked
from strop.privacy.masker import FINDERS, Masker

__all__ = ["FINDERS", "KINDS", "Finder", "Found", "Kind", "Masked", "Masker"]
