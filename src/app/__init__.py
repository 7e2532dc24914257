"""The application. Its name and version, as /version and access tokens give them."""

NAME = "slipway"
VERSION = "0.1.0"
