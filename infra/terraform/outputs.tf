output "api" {
  description = "Where the service answers."
  value       = "https://${var.hostname}"
}

output "runner_secret" {
  description = "RUNNER_SECRET of the runners: kubectl create secret generic omni-runner --from-literal=RUNNER_SECRET=\"$(terraform output -raw runner_secret)\"."
  value       = random_password.runner.result
  sensitive   = true
}
