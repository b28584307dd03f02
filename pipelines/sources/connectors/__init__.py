"""Feeds from outside over HTTP: what a declaration says is pulled, and lands in files of their own.

```
declaration -> client -> paging -> shelf (pages, then one file) -> landed: chunks like those of any file
```

A declaration says where rows are and what their fields are called; no connector is code. What is landed are
the rows as they came: a mapping that is mended later reads them again.
"""
