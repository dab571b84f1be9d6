"""The page: masks under the pointer in a browser, served to one machine or written to a folder."""
