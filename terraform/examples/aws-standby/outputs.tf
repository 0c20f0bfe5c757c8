output "put_key" {
  description = "Run it once, with the key that `kiln key new` wrote to log.key."
  value       = module.sequencer.put_key
}

output "read_url" {
  description = "Where readers find the log."
  value       = module.cdn.url
}

output "instance_ids" {
  description = "The machines, by name: `aws ssm start-session --target ...`."
  value       = module.sequencer.instance_ids
}
