"""Prints the page of the table."""

import sys

from serving.authority.page import page

if __name__ == "__main__":
    sys.stdout.write(page())
