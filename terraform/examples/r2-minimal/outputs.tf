output "environment" {
  description = "The environment of `kiln serve`, as a file for systemd: terraform output -raw environment > /etc/kiln/environment; chmod 600."
  sensitive   = true
  value       = <<-EOT
    AWS_ENDPOINT_URL=${module.log.endpoint_url}
    AWS_REGION=auto
    AWS_ACCESS_KEY_ID=${module.log.credentials["sequencer"].access_key_id}
    AWS_SECRET_ACCESS_KEY=${module.log.credentials["sequencer"].secret_access_key}
  EOT
}

output "gc_environment" {
  description = "The environment of `kiln gc`, which is to run on a schedule."
  sensitive   = true
  value       = <<-EOT
    AWS_ENDPOINT_URL=${module.log.endpoint_url}
    AWS_REGION=auto
    AWS_ACCESS_KEY_ID=${module.log.credentials["gc"].access_key_id}
    AWS_SECRET_ACCESS_KEY=${module.log.credentials["gc"].secret_access_key}
  EOT
}

output "serve" {
  description = "What to run."
  value       = "kiln serve ${module.log.store} --guard ${module.log.guard} --read-url ${module.log.read_url} --key log.key --origin ..."
}

output "gc" {
  description = "What to run each day."
  value       = "kiln gc ${module.log.store} --vkey ..."
}
