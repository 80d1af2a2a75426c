# The worker is wrangler's: bindings, objects' migrations, queue consumer and settings stand in wrangler.toml, which local
# runs and this deployment share. Here it gets what differs: names, ids, addresses, secrets.

locals {
  root = abspath("${path.module}/../..")

  # Found as whole lines, so that a change of wrangler.toml that misses one of them shows below.
  differs = {
    "name = \"omni-iml\""                                    = "name = \"${var.name}\""
    "S3_BUCKET = \"omni-iml\""                               = "S3_BUCKET = \"${var.name}\""
    "bucket_name = \"omni-iml\""                             = "bucket_name = \"${var.name}\""
    "database_name = \"omni-iml\""                           = "database_name = \"${var.name}\""
    "database_id = \"00000000-0000-0000-0000-000000000000\"" = "database_id = \"${cloudflare_d1_database.index.id}\""
  }
  template_lines = split("\n", file("${local.root}/wrangler.toml"))
  lines          = [for line in local.template_lines : lookup(local.differs, line, line)]

  secrets = {
    RUNNER_URLS          = join(",", var.runner_urls)
    RUNNER_SECRET        = random_password.runner.result
    S3_ENDPOINT          = "https://${var.account_id}.r2.cloudflarestorage.com"
    S3_ACCESS_KEY_ID     = cloudflare_account_token.storage.id
    S3_SECRET_ACCESS_KEY = sha256(cloudflare_account_token.storage.value)
  }
}

# Beside wrangler.toml, because the paths in it are relative. Both files are ignored by git.
resource "local_sensitive_file" "configuration" {
  filename        = "${local.root}/wrangler.production.toml"
  file_permission = "0600"
  content         = join("\n", local.lines)

  lifecycle {
    precondition {
      condition     = length(setsubtract(keys(local.differs), local.template_lines)) == 0
      error_message = "wrangler.toml has changed: not every line that differs by deployment is found in it."
    }
  }
}

resource "local_sensitive_file" "secrets" {
  filename        = "${local.root}/wrangler.production.secrets.json"
  file_permission = "0600"
  content         = jsonencode(local.secrets)
}

resource "terraform_data" "worker" {
  triggers_replace = {
    commit        = var.commit
    configuration = sha256(local_sensitive_file.configuration.content)
    secrets       = sha256(local_sensitive_file.secrets.content)
  }

  # The schema first: migrations only add, so the version that still runs works on it (infra/migrations.test.ts).
  provisioner "local-exec" {
    working_dir = local.root
    environment = {
      CLOUDFLARE_ACCOUNT_ID = var.account_id
      CLOUDFLARE_API_TOKEN  = cloudflare_account_token.deploy.value
    }
    command = <<-COMMAND
      set -eu
      npx wrangler d1 migrations apply ${var.name} --remote --config wrangler.production.toml
      npx node edge/playground/build.ts
      npx wrangler deploy --config wrangler.production.toml --secrets-file wrangler.production.secrets.json
    COMMAND
  }

  depends_on = [cloudflare_queue.dispatch, cloudflare_r2_bucket.images]
}

resource "cloudflare_workers_custom_domain" "api" {
  account_id = var.account_id
  zone_id    = var.zone_id
  hostname   = var.hostname
  service    = var.name

  depends_on = [terraform_data.worker]
}
