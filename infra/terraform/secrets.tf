# What each token may do: the least with which it works.

data "cloudflare_account_api_token_permission_groups_list" "all" {
  account_id = var.account_id
}

locals {
  # A name can stand for several groups, one a scope.
  permissions = {
    for group in data.cloudflare_account_api_token_permission_groups_list.all.result :
    "${group.name}@${group.scopes[0]}" => group.id...
  }
  account = "com.cloudflare.api.account"
  bucket  = "com.cloudflare.edge.r2.bucket"
}

# Signs the addresses of objects: reads and writes objects of this one bucket, lists and changes no bucket.
resource "cloudflare_account_token" "storage" {
  account_id = var.account_id
  name       = "${var.name}: signed addresses"

  policies = [{
    effect = "allow"
    permission_groups = [
      { id = local.permissions["Workers R2 Storage Bucket Item Read@${local.bucket}"][0] },
      { id = local.permissions["Workers R2 Storage Bucket Item Write@${local.bucket}"][0] },
    ]
    resources = jsonencode({
      "${local.bucket}.${var.account_id}_default_${cloudflare_r2_bucket.images.name}" = "*"
    })
  }]
}

# Deploys: uploads the worker, migrates the database, sets the queue's consumer. Reads no object.
resource "cloudflare_account_token" "deploy" {
  account_id = var.account_id
  name       = "${var.name}: deployment"

  policies = [{
    effect = "allow"
    permission_groups = [
      { id = local.permissions["Workers Scripts Write@${local.account}"][0] },
      { id = local.permissions["D1 Write@${local.account}"][0] },
      { id = local.permissions["Queues Write@${local.account}"][0] },
    ]
    resources = jsonencode({ "${local.account}.${var.account_id}" = "*" })
  }]
}

# Signs what the edge asks of the runners. Rotate: `terraform apply -replace=random_password.runner`, then the runners
# (infra/README.md).
resource "random_password" "runner" {
  length  = 48
  special = false
}
