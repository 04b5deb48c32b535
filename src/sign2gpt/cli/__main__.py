"""``python -m sign2gpt.cli``."""

from sign2gpt.cli import main

main()
