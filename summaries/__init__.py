"""What a language model says about a ticker, bought once. (Nothing here yet: the app is added with its first model.)"""
