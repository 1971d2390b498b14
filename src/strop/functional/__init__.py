"""Pure tensor functions that the algorithms are made of. No state, no policy, no episode.

Shape legend: B rows, T slots, E picks, N decisions, V vocabulary.
"""
