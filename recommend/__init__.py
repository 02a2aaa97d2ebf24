"""The recommender: from what was watched to what is shown next."""
