"""``python -m viewfusion``."""

from viewfusion.cli import main

main()
