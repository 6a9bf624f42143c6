# `terraform init` chooses the newest provider within these bounds and keeps its version and checksums in
# .terraform.lock.hcl. Commit that file to your copy of this directory, so that everybody's runs use the same provider.
terraform {
  required_version = ">= 1.5"
  required_providers {
    genesyscloud = {
      source  = "mypurecloud/genesyscloud"
      version = "~> 1.84"
    }
  }
}

# Terraform's own OAuth client comes from GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET.
provider "genesyscloud" {
  aws_region = var.region
}
