"""Wavelet denoising, which SUPER-IOT and pixel deflection share."""
