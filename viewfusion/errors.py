"""The one error a user can mend, and the one warning worth reading."""


class ViewFusionError(ValueError):
    """Bad input: one line that says what was wanted, what came and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class ViewFusionWarning(UserWarning):
    """Something was assumed that the user may know better; one line, which the command line prints."""
