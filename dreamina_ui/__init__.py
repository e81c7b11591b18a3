"""Dreamina UI: pictures with ByteDance's Dreamina 4.0 through RunComfy's Model API."""

__version__ = "0.1.0"
