-- CreateTable
CREATE TABLE "user_mappings" (
    "id" SERIAL NOT NULL,
    "integration_code" TEXT NOT NULL,
    "user_email" TEXT NOT NULL,
    "external_id" TEXT NOT NULL,
    CONSTRAINT "user_mappings_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "user_mappings_integration_code_fkey" FOREIGN KEY ("integration_code") REFERENCES "integrations"("code") ON DELETE CASCADE
);

-- CreateTable
CREATE TABLE "credentials" (
    "id" SERIAL NOT NULL,
    "integration_code" TEXT NOT NULL,
    "owner_email" TEXT NOT NULL,
    "secret" TEXT NOT NULL,
    CONSTRAINT "credentials_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "credentials_integration_code_fkey" FOREIGN KEY ("integration_code") REFERENCES "integrations"("code") ON DELETE CASCADE
);
