"""When, and for whom: command line, configuration, reports, exports, evaluation, rounds."""
