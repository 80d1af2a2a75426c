terraform {
  required_version = ">= 1.9"

  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "~> 5.14"
    }
    local = {
      source  = "hashicorp/local"
      version = "~> 2.5"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }

  # The state holds secrets: keep it where it is encrypted and only those who deploy can read it. `terraform init
  # -backend-config=backend.hcl` names bucket and endpoint; any S3 will do, an R2 bucket of its own among them.
  backend "s3" {
    key                         = "omni-iml/terraform.tfstate"
    encrypt                     = true
    use_lockfile                = true
    skip_credentials_validation = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    skip_s3_checksum            = true
  }
}

# CLOUDFLARE_API_TOKEN: one that may make tokens (Account API Tokens: Edit) and what is below. It is used here only;
# what runs and what deploys get tokens of their own.
provider "cloudflare" {}
