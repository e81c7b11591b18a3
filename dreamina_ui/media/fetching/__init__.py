"""Downloads of files by URL: who may be asked, over which connection, what may come back, and what is stored of it."""
