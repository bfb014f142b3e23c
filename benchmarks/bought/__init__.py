"""What `benchmarks.summaries` does.

measure.py    the run and its figures
shared.py     a thousand users, ten processes, one of them killed; and the naive way
scrambled.py  a server that scrambles its answers, and a counter that has to be exact
scores.py     how long a score takes that no model is asked for
buyer.py      one of the processes that want and buy
wishes.py     who wants which articles
corpus.py     the trial data, or as many articles of our own making
"""
