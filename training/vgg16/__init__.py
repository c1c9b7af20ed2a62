"""The VGG-16 that impasto carries: published weights, scaled and stored in 8 bits."""
