output "put_key" {
  description = "The command that hands over the log's key, once. It stays out of terraform's state."
  value       = "aws secretsmanager put-secret-value --region ${local.region} --secret-id ${aws_secretsmanager_secret.key.arn} --secret-string file://log.key"
}

output "key_secret_arn" {
  description = "The secret that holds the log's key."
  value       = aws_secretsmanager_secret.key.arn
}

output "balancer_dns_name" {
  description = "What the record of `submission_url` is to point at."
  value       = aws_lb.this.dns_name
}

output "balancer_zone_id" {
  description = "The zone of that name, for alias records of Route 53."
  value       = aws_lb.this.zone_id
}

output "balancer_arn_suffix" {
  description = "The balancer in its metrics."
  value       = aws_lb.this.arn_suffix
}

output "target_group_arn_suffix" {
  description = "Its targets in their metrics."
  value       = aws_lb_target_group.this.arn_suffix
}

output "log_group_name" {
  description = "Where messages are, a JSON object a line."
  value       = aws_cloudwatch_log_group.this.name
}

output "node_count" {
  description = "How many nodes there are, for `aws-alarms` to miss one."
  value       = length(var.nodes)
}

output "instance_ids" {
  description = "The machines, by the names of `nodes`."
  value       = { for name, instance in aws_instance.node : name => instance.id }
}

output "kiln_args" {
  description = "What `kiln` is started with."
  value       = local.kiln_args
}
