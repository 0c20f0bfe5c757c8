output "topic_arn" {
  description = "Where alarms are said."
  value       = aws_sns_topic.this.arn

  depends_on = [aws_sns_topic_policy.this]
}
