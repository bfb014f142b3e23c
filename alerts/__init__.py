"""Rules on prices, decided on every tick, delivered once. (Nothing here yet: the app is added with its first model.)"""
