"""The one error a user can mend."""


class ViewFusionError(ValueError):
    """Bad input: one line that says what was wanted, what came and what to do.

    The command line prints it without a traceback and exits with code 2.
    """
