"""sign2gpt: sign-language video in, spoken-language sentence out (after Sign2GPT, ICLR 2024)."""

__version__ = "0.1.0"
