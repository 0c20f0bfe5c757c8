output "log_group_name" {
  description = "Where runs say what they did: a JSON object a line."
  value       = aws_cloudwatch_log_group.this.name
}

output "task_definition_arn" {
  description = "What is run."
  value       = aws_ecs_task_definition.this.arn
}

output "kiln_args" {
  description = "What `kiln` is started with."
  value       = local.kiln_args
}
