terraform {
  required_version = ">= 1.11"

  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "~> 5.28"
    }
  }
}

# The token is in CLOUDFLARE_API_TOKEN. It may edit R2, account tokens, and the rules of the zone.
provider "cloudflare" {}
