"""The root of every error that a person can do something about."""


class ExplainedError(Exception):
    """Its text says what happened, which setting or row it concerns and what to do; never a token, phone or message.

    The command line prints the text alone and ends with exit code 1.
    """
