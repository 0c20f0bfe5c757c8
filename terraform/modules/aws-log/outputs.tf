output "store" {
  description = "The log's STORE, for `kiln serve` and `kiln gc`."
  value       = "s3://${var.bucket}${var.prefix == "" ? "" : "/${var.prefix}"}"

  # Nobody writes there before the bucket is append-only.
  depends_on = [aws_s3_bucket_policy.this]
}

output "guard" {
  description = "Where the guard stands, for `kiln serve --guard`."
  value       = "s3://${var.guard_bucket}"

  depends_on = [aws_s3_bucket_policy.this]
}

output "bucket" {
  description = "The log's bucket."
  value       = aws_s3_bucket.this["log"].id
}

output "bucket_regional_domain_name" {
  description = "Where a CDN fetches from."
  value       = aws_s3_bucket.this["log"].bucket_regional_domain_name
}

output "sequencer_role_name" {
  description = "The role of the sequencer."
  value       = aws_iam_role.sequencer.name

  # Who uses the role may do so only once all of it is in force.
  depends_on = [aws_iam_role_policy.sequencer, aws_s3_bucket_policy.this]
}

output "sequencer_role_arn" {
  description = "The same, as an ARN."
  value       = aws_iam_role.sequencer.arn
}

output "gc_role_arn" {
  description = "The role of `kiln gc`."
  value       = aws_iam_role.gc.arn

  depends_on = [aws_iam_role_policy.gc, aws_s3_bucket_policy.this]
}
