mock_provider "aws" {
  source          = "../../check/mocks/aws"
  override_during = plan
}

variables {
  name         = "releases"
  bucket       = "example-log"
  guard_bucket = "example-guard"
}

run "a_log_at_the_root_of_its_bucket" {
  command = plan

  assert {
    condition     = output.store == "s3://example-log" && output.guard == "s3://example-guard"
    error_message = "STORE and guard are the buckets: ${output.store}, ${output.guard}"
  }

  assert {
    condition     = contains(jsondecode(aws_iam_role_policy.sequencer.policy).Statement[0].Resource, "arn:aws:s3:::example-log/checkpoint")
    error_message = "The sequencer does not reach the checkpoint."
  }

  assert {
    condition     = length(aws_s3_bucket_versioning.this) == 0
    error_message = "There is versioning, and nobody asked for it."
  }
}

run "a_log_below_a_prefix" {
  command = plan

  variables {
    prefix = "logs/v1"
  }

  assert {
    condition     = output.store == "s3://example-log/logs/v1"
    error_message = "STORE is ${output.store}"
  }

  assert {
    condition     = contains([for s in jsondecode(aws_iam_role_policy.gc.policy).Statement : try(s.Resource, null)], "arn:aws:s3:::example-log/logs/v1/tile/*.p/*")
    error_message = "gc does not delete partial tiles below the prefix."
  }
}

run "readers_are_let_in_where_there_are_some" {
  command = plan

  variables {
    cloudfront_distribution_arns = ["arn:aws:cloudfront::123456789012:distribution/E1"]
  }

  assert {
    condition     = contains(jsondecode(aws_s3_bucket_policy.this["log"].policy).Statement[*].Sid, "ReadersByCloudFront")
    error_message = "The distribution is not let in."
  }

  assert {
    condition     = !contains(jsondecode(aws_s3_bucket_policy.this["guard"].policy).Statement[*].Sid, "ReadersByCloudFront")
    error_message = "The distribution reads the guard."
  }
}

run "and_nobody_where_there_are_none" {
  command = plan

  assert {
    condition     = alltrue([for s in jsondecode(aws_s3_bucket_policy.this["log"].policy).Statement : s.Effect == "Deny"])
    error_message = "The bucket's policy allows something."
  }
}

run "versioning_forgets_after_a_while" {
  command = plan

  variables {
    versioning      = true
    noncurrent_days = 3
  }

  assert {
    condition     = aws_s3_bucket_versioning.this["log"].versioning_configuration[0].status == "Enabled"
    error_message = "There is no versioning."
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this["log"].rule : rule.status == "Enabled"
    ])
    error_message = "Replaced versions are kept for ever."
  }
}

run "the_guard_must_be_elsewhere" {
  command = plan

  variables {
    guard_bucket = "example-log"
  }

  expect_failures = [var.guard_bucket]
}

run "a_prefix_has_no_slash_at_its_end" {
  command = plan

  variables {
    prefix = "log/"
  }

  expect_failures = [var.prefix]
}
