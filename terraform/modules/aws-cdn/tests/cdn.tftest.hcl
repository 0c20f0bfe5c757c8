mock_provider "aws" {
  source          = "../../check/mocks/aws"
  override_during = plan
}

variables {
  name                        = "releases"
  bucket_regional_domain_name = "example-log.s3.eu-central-1.amazonaws.com"
}

run "without_a_name_of_its_own" {
  command = plan

  assert {
    condition     = aws_cloudfront_distribution.this.viewer_certificate[0].cloudfront_default_certificate
    error_message = "It has no certificate."
  }

  assert {
    condition     = aws_cloudfront_distribution.this.default_root_object == "log.json"
    error_message = "GET / would list the bucket."
  }
}

run "with_one" {
  command = plan

  variables {
    domain_names    = ["log.example.com"]
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
    prefix          = "v1"
  }

  assert {
    condition     = output.url == "https://log.example.com"
    error_message = "Its URL is ${output.url}"
  }

  assert {
    condition     = aws_cloudfront_distribution.this.viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021"
    error_message = "It speaks old TLS."
  }

  assert {
    condition     = one(aws_cloudfront_distribution.this.origin).origin_path == "/v1"
    error_message = "Readers do not get below the prefix."
  }
}

run "certificates_are_in_us_east_1" {
  command = plan

  variables {
    domain_names    = ["log.example.com"]
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  }

  expect_failures = [var.certificate_arn]
}

run "a_name_needs_a_certificate" {
  command = plan

  variables {
    domain_names = ["log.example.com"]
  }

  expect_failures = [var.certificate_arn]
}

run "a_checkpoint_is_not_kept_for_long" {
  command = plan

  variables {
    checkpoint_seconds = 60
  }

  expect_failures = [var.checkpoint_seconds]
}
