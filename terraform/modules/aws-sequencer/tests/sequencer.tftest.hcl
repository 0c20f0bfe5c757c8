mock_provider "aws" {
  source          = "../../check/mocks/aws"
  override_during = plan
}

variables {
  name                = "releases"
  origin              = "log.example.com/releases"
  image               = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/kiln@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  store               = "s3://example-log"
  guard               = "s3://example-guard"
  role_name           = "releases-sequencer"
  submission_url      = "https://add.log.example.com"
  nodes               = { a = { subnet_id = "subnet-a" } }
  vpc_id              = "vpc-1"
  balancer_subnet_ids = ["subnet-a", "subnet-b"]
  certificate_arn     = "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  submitters          = ["198.51.100.0/24"]
}

run "one_node" {
  command = plan

  assert {
    condition     = !contains(output.kiln_args, "--standby")
    error_message = "A node that is alone renews a lease for nobody."
  }

  assert {
    condition     = join(" ", slice(output.kiln_args, 0, 4)) == "serve s3://example-log --origin log.example.com/releases"
    error_message = join(" ", output.kiln_args)
  }

  assert {
    condition     = strcontains(aws_instance.node["a"].user_data, var.image)
    error_message = "The node runs another image."
  }

  assert {
    condition = contains(
      flatten([for s in jsondecode(aws_iam_role_policy.node.policy).Statement : s.Resource]),
      "arn:aws:ecr:eu-central-1:123456789012:repository/kiln",
    )
    error_message = "The node may not pull its image."
  }
}

run "two_nodes_and_an_image_that_is_rolled_out" {
  command = plan

  variables {
    nodes = {
      a = { subnet_id = "subnet-a" }
      b = {
        subnet_id = "subnet-b"
        image     = "ghcr.io/example/kiln@sha256:1111111111111111111111111111111111111111111111111111111111111111"
      }
    }
  }

  assert {
    condition     = contains(output.kiln_args, "--standby") && output.node_count == 2
    error_message = "Nodes do not stand by."
  }

  assert {
    condition     = strcontains(aws_instance.node["b"].user_data, "sha256:1111") && !strcontains(aws_instance.node["a"].user_data, "sha256:1111")
    error_message = "The image is rolled out to another node."
  }

  assert {
    condition     = aws_lb_target_group.this.health_check[0].path == "/readyz"
    error_message = "Submissions reach those that stand by."
  }
}

run "a_registry_elsewhere_needs_no_right_here" {
  command = plan

  variables {
    image = "ghcr.io/example/kiln@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  }

  assert {
    condition     = !contains(jsondecode(aws_iam_role_policy.node.policy).Statement[*].Sid, "PullTheImage")
    error_message = "There is a right that nobody needs."
  }
}

run "the_secret_s_own_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  }

  assert {
    condition     = contains(jsondecode(aws_iam_role_policy.node.policy).Statement[*].Sid, "DecryptTheKey")
    error_message = "The node may not decrypt the log's key."
  }
}

run "a_tag_can_be_moved" {
  command = plan

  variables {
    image = "ghcr.io/example/kiln:latest"
  }

  expect_failures = [var.image]
}

run "an_origin_is_no_url" {
  command = plan

  variables {
    origin = "https://log.example.com"
  }

  expect_failures = [var.origin]
}

run "everybody_has_to_be_said" {
  command = plan

  variables {
    submitters = ["0.0.0.0/0"]
  }

  expect_failures = [var.submitters]
}

run "and_can_be_said" {
  command = plan

  variables {
    submitters         = ["0.0.0.0/0", "::/0"]
    anybody_may_submit = true
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.submitters["::/0"].cidr_ipv6 == "::/0"
    error_message = "IPv6 does not get in."
  }
}

run "the_writer_deletes_nothing" {
  command = plan

  variables {
    extra_args = ["--gc=on"]
  }

  expect_failures = [var.extra_args]
}

run "no_argument_breaks_out" {
  command = plan

  variables {
    extra_args = ["--rekor; rm -rf /"]
  }

  expect_failures = [var.extra_args]
}
