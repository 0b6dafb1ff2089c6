"""QuSecNets: an image is reduced to a few grey levels before it meets the classifier."""
