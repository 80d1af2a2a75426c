resource "cloudflare_r2_bucket" "images" {
  account_id = var.account_id
  name       = var.name
  location   = var.location

  lifecycle {
    prevent_destroy = true
  }
}

# Browsers fetch results and PUT uploads at signed addresses, from the playground and from pages that use the SDK.
resource "cloudflare_r2_bucket_cors" "browsers" {
  account_id  = var.account_id
  bucket_name = cloudflare_r2_bucket.images.name

  rules = [{
    id = "signed-addresses"
    allowed = {
      origins = concat(["https://${var.hostname}"], var.browser_origins)
      methods = ["GET", "HEAD", "PUT"]
      headers = ["content-type"]
    }
    expose_headers  = ["content-length", "content-type", "etag"]
    max_age_seconds = 3600
  }]
}

# The service erases what it stores by itself, at the second that it promised. This is the net below: an input whose
# record could not be created, an upload that broke off. A batch may take a day, its input is kept for another.
resource "cloudflare_r2_bucket_lifecycle" "orphans" {
  account_id  = var.account_id
  bucket_name = cloudflare_r2_bucket.images.name

  rules = [
    for prefix, days in { "inputs/" = 3, "uploads/" = 3 } : {
      id                            = "orphans-${trimsuffix(prefix, "/")}"
      enabled                       = true
      conditions                    = { prefix = prefix }
      delete_objects_transition = {
        condition = { type = "Age", max_age = days * 86400 }
      }
      abort_multipart_uploads_transition = {
        condition = { type = "Age", max_age = 86400 }
      }
    }
  ]
}

resource "cloudflare_d1_database" "index" {
  account_id            = var.account_id
  name                  = var.name
  primary_location_hint = var.location

  read_replication = {
    mode = "disabled"
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Its consumer, with batch size and retries, is the worker's own (wrangler.toml).
resource "cloudflare_queue" "dispatch" {
  account_id = var.account_id
  queue_name = "dispatch"
}
