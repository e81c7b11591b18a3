"""Copies of images, made in processes of their own, which a hostile image can at most end."""
