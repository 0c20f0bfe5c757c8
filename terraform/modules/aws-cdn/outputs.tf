output "distribution_arn" {
  description = "The distribution, for `aws-log` to let it in."
  value       = aws_cloudfront_distribution.this.arn
}

output "distribution_id" {
  description = "The distribution's id, by which its metrics are named."
  value       = aws_cloudfront_distribution.this.id
}

output "domain_name" {
  description = "CloudFront's own host name: what the records of `domain_names` are to point at."
  value       = aws_cloudfront_distribution.this.domain_name
}

output "hosted_zone_id" {
  description = "The zone of that name, for alias records of Route 53."
  value       = aws_cloudfront_distribution.this.hosted_zone_id
}

output "url" {
  description = "Where readers find the log."
  value       = "https://${length(var.domain_names) == 0 ? aws_cloudfront_distribution.this.domain_name : var.domain_names[0]}"
}
