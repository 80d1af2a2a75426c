variable "account_id" {
  description = "Cloudflare account that everything belongs to."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.account_id))
    error_message = "An account id has 32 hexadecimal digits."
  }
}

variable "zone_id" {
  description = "Zone of `hostname`."
  type        = string
}

variable "hostname" {
  description = "Where the API and the playground answer, for example api.example.com."
  type        = string
}

variable "runner_urls" {
  description = "HTTPS addresses of the GPU runners, or of one balancer in front of them (infra/kubernetes: the tunnel's hostname)."
  type        = list(string)
  validation {
    condition     = length(var.runner_urls) > 0 && alltrue([for url in var.runner_urls : startswith(url, "https://")])
    error_message = "At least one address, each beginning with https://."
  }
}

variable "browser_origins" {
  description = "Origins of other pages whose browsers may read results and PUT uploads; the playground's own is always among them."
  type        = list(string)
  default     = []
}

variable "location" {
  description = "Where bucket and database should lie, as a hint: weur, eeur, enam, wnam, apac, oc."
  type        = string
  default     = "weur"
}

variable "name" {
  description = "Name of worker, bucket and database. Another one for another environment in the same account."
  type        = string
  default     = "omni-iml"
}

variable "commit" {
  description = "What is deployed: -var commit=$(git rev-parse HEAD). Another one deploys anew."
  type        = string
}
