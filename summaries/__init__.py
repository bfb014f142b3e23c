"""What a language model says about a ticker, bought once."""
